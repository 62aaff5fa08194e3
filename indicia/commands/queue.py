"""`indicia queue`."""

from enum import StrEnum
from typing import Annotated

import typer

from indicia.printing import Json


class Do(StrEnum):
    """What is done with the copies that are meant."""

    LIST = "list"
    SHOW = "show"
    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    DROP = "drop"


Older = Annotated[
    str | None,
    typer.Option(metavar="2h", help="Accepted so long ago: 30s, 5m, 2h, 2d, 1w, or before."),
]
Waiting = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WHY", help="new, deferred, under_way, held, dropped or dead; may be repeated."
    ),
]


def queue(  # noqa: PLR0913 - typer reads each option from a parameter
    context: typer.Context,
    do: Annotated[
        Do, typer.Argument(metavar="list|show|retry|hold|release|drop", help="What is done.")
    ] = Do.LIST,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Copies or sends; all that match, where none."),
    ] = None,
    *,
    older: Older = None,
    recipient: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="*@example.com, or a domain.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="The same; <> is the null sender.")
    ] = None,
    reply: Annotated[
        str | None, typer.Option(metavar="TEXT", help="In the last reply, such as 4.7.1.")
    ] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which was tried last.")
    ] = None,
    waiting: Waiting = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Needed to act on the whole queue.")
    ] = False,
    bounce: Annotated[
        bool, typer.Option("--bounce/--silent", help="drop: whether the senders are told.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="drop: do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Look at mail that is not settled yet, and act on it.

    retry makes it due now; hold keeps it from being tried until release; drop gives it up, and
    the record says so. What a relay is trying is not taken from it: the attempt counts. A running
    relay heeds all of it within five seconds.
    """
    from indicia.opening import read_settings

    settings = read_settings(context)
    from indicia.queueing import Meant, Wish, act, list_copies, read_filter, show_copies

    wanted = read_filter(
        Meant(names or (), older, recipient, sender, reply, upstream, waiting or ())
    )
    match do:
        case Do.LIST:
            list_copies(settings, wanted, as_json=as_json)
        case Do.SHOW:
            show_copies(settings, wanted, as_json=as_json)
        case _:
            wish = Wish(do.value, bounce=bounce, everything=everything, sure=yes)
            act(settings, wanted, wish, as_json=as_json)
