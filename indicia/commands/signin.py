"""`indicia signin`."""

from typing import Annotated

import typer


def signin(
    context: typer.Context,
    address: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="Of an account; without it, the operator."),
    ] = None,
) -> None:
    """Print a link that signs in to the console once, within 12 hours."""
    from indicia.admitting import print_sign_in_link
    from indicia.opening import read_settings

    print_sign_in_link(read_settings(context), address)
