"""`indicia sandbox …`."""

import typer

from indicia.printing import Json

sandbox = typer.Typer(no_args_is_help=True, help="Try Indicia without sending mail to anyone.")


@sandbox.callback()
def group() -> None:
    """Try Indicia without sending mail to anyone."""


@sandbox.command()
def send(context: typer.Context, *, as_json: Json = False) -> None:
    """Send a sample mail with To, Cc and Bcc through the running sandbox."""
    from indicia.opening import read_settings
    from indicia.sampling import send_sample

    send_sample(read_settings(context), as_json=as_json)
