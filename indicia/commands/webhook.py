"""`indicia webhook …`."""

from typing import Annotated

import typer

from indicia.printing import Json

webhook = typer.Typer(
    no_args_is_help=True, help="Show how webhooks do; send again what they did not take."
)


@webhook.callback()
def group() -> None:
    """Show how webhooks do, and send again what they did not take."""


@webhook.command("list")
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the webhooks with what waits, what is dead, and what came of the last post."""
    from indicia.hooking import show_webhooks
    from indicia.opening import read_settings

    show_webhooks(read_settings(context), as_json=as_json)


@webhook.command()
def dead(context: typer.Context, *, as_json: Json = False) -> None:
    """List what was not taken within a day, or answered with 410."""
    from indicia.hooking import show_dead
    from indicia.opening import read_settings

    show_dead(read_settings(context), as_json=as_json)


@webhook.command("resend")
def resend_(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="As `webhook dead` shows them.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters again, for another day."""
    from indicia.hooking import resend_dead
    from indicia.opening import read_settings

    resend_dead(read_settings(context), names or (), everything=everything, as_json=as_json)
