"""`indicia forget`."""

from typing import Annotated

import typer

from indicia.commands.export import Address
from indicia.printing import Json


def forget(
    context: typer.Context,
    address: Address,
    *,
    drop_queued: Annotated[
        bool,
        typer.Option("--drop-queued", help="Give up mail to or from him that is not delivered."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase what is held of one address, and search the files for what is left.

    Links in mail already sent go on leading where they led. A denial goes on holding, under a
    digest of which no address can be made.
    """
    from indicia.opening import read_settings

    settings = read_settings(context)
    from indicia.forgetting import Wish
    from indicia.forgetting import forget as erase

    erase(settings, address, Wish(drop_queued, yes), as_json=as_json)
