"""`indicia log`."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from indicia.printing import Format, Json


class Kind(StrEnum):
    """What is listed."""

    EVENTS = "events"
    MESSAGES = "messages"
    DELIVERIES = "deliveries"


def log(  # noqa: PLR0913 - typer reads each option from a parameter
    context: typer.Context,
    kind: Annotated[
        Kind, typer.Argument(metavar="events|messages|deliveries", help="What is listed.")
    ] = Kind.EVENTS,
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="2d", help="How far back: 30s, 5m, 2h, 2d, 1w, or an instant."),
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="What is his, and what is shared with others."),
    ] = None,
    sender: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Envelope sender.")] = None,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="With or without brackets.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="email.opened or opened; may be repeated."),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Re-labellings too, not only how things stand now.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    form: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Review the log, oldest first."""
    from indicia.opening import read_settings
    from indicia.reviewing import Review, read_wanted, review

    wanted = read_wanted(
        since=since, recipient=recipient, sender=sender, message_id=message_id, types=types or []
    )
    wanted = replace(wanted, history=history)
    chosen = Format.JSON if as_json else form
    review(read_settings(context), Review(kind.value, wanted, chosen, follow=follow))
