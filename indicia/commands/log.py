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


Since = Annotated[
    str | None,
    typer.Option(metavar="2d", help="How far back: 30s, 5m, 2h, 2d, 1w, or an instant."),
]
Until = Annotated[
    str | None, typer.Option(metavar="1h", help="Before then: an age, or an instant.")
]


def log(  # noqa: PLR0913 - typer reads each option from a parameter
    context: typer.Context,
    kind: Annotated[
        Kind, typer.Argument(metavar="events|messages|deliveries", help="What is listed.")
    ] = Kind.EVENTS,
    *,
    since: Since = None,
    recipient: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="What is his, and what is shared with others."),
    ] = None,
    sender: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Envelope sender.")] = None,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="With or without brackets.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A part of the subject.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A part of the link that was clicked.")
    ] = None,
    reply: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A part of what the upstream said.")
    ] = None,
    until: Until = None,
    classifications: Annotated[
        list[str] | None,
        typer.Option("--classification", metavar="AGENT", help="proxy, scanner, …; repeatable."),
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

    said = {
        "since": since,
        "until": until,
        "recipient": recipient,
        "sender": sender,
        "subject": subject,
        "message_id": message_id,
        "url": url,
        "reply": reply,
    }
    asked = {name: [text] for name, text in said.items() if text is not None}
    asked |= {"type": types or [], "classification": classifications or []}
    wanted = replace(read_wanted(asked), history=history)
    chosen = Format.JSON if as_json else form
    review(read_settings(context), Review(kind.value, wanted, chosen, follow=follow))
