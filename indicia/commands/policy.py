"""`indicia policy …`."""

from typing import Annotated

import typer

from indicia.printing import Json

policy = typer.Typer(
    no_args_is_help=True, help="Show what is in force; switch tracking off or on for everybody."
)

Reason = Annotated[str, typer.Option(metavar="WHY", help="Kept with the change.")]


@policy.callback()
def group() -> None:
    """Show what is in force, and switch tracking off or on for everybody."""


@policy.command()
def show(
    context: typer.Context,
    *,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="A", help="For mail of this sender …")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="B", help="… to this recipient.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="A", help="Who has signed in.")] = None,
    as_json: Json = False,
) -> None:
    """Show what is in force; with --from and --to, what it comes to for one mail and why."""
    from indicia.opening import read_settings
    from indicia.ruling import NamedPair, show_pair, show_policy

    if sender is None and to is None:
        show_policy(read_settings(context), as_json=as_json)
        return
    if sender is None or to is None:
        msg = "write both --from and --to, or neither"
        raise typer.BadParameter(msg)
    show_pair(read_settings(context), NamedPair(sender, to, account), as_json=as_json)


@policy.command()
def off(context: typer.Context, *, reason: Reason = "") -> None:
    """Switch tracking off for everybody.

    Mail that waits goes out as the original, opens and clicks are answered and not stored.
    """
    from indicia.opening import read_settings
    from indicia.ruling import switch_tracking

    switch_tracking(read_settings(context), tracking=False, reason=reason)


@policy.command()
def on(context: typer.Context, *, reason: Reason = "") -> None:
    """Switch tracking on again, as far as the policy allows it."""
    from indicia.opening import read_settings
    from indicia.ruling import switch_tracking

    switch_tracking(read_settings(context), tracking=True, reason=reason)
