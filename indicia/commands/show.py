"""`indicia show`."""

from typing import Annotated

import typer

from indicia.printing import Json


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SEND_ID|MESSAGE_ID")],
    *,
    as_json: Json = False,
) -> None:
    """Tell the whole story of one send, in order."""
    from indicia.opening import read_settings
    from indicia.telling import tell

    tell(read_settings(context), name, as_json=as_json)
