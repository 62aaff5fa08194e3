"""`indicia init`."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)] = Path(),
) -> None:
    """Write a commented configuration and keys (0600).

    Existing ones are never written over. DIR is made where it is missing; without it, it is the
    folder you are in.
    """
    from indicia.setting_up import set_up

    set_up(folder)
