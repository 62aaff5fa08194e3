"""The mail that tells of opens and clicks: its words.

Law: its subject names nobody, and nothing of the mail it is about: servers log subjects, and the
record of what was sent keeps them.
"""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from collector.sureness import tell_likely
from ledger.event import Agent, Attribution, Event, EventType

MOST_TOLD = 100
"""More lines nobody reads; the rest is counted."""

_LONGEST = 80
"""Characters of a subject or a link: a line of a mail program."""


def write_subject(events: Sequence[Event]) -> str:
    """Return the subject of a mail that tells of some events."""
    if len(events) > 1:
        return f"Your mail: {len(events)} opens and clicks"
    if events[0].type is EventType.CLICKED:
        return "A link in your mail was followed"
    return "Your mail was opened"


def write_text(events: Sequence[Event], public_url: str, zone: str) -> str:
    """Return its text: who did what, when in a zone, how sure that is, and where to see more."""
    paragraphs = [
        f"{tell_event(event, zone)}\n{public_url}/messages/{event.send_id}"
        for event in events[:MOST_TOLD]
    ]
    if len(events) > MOST_TOLD:
        paragraphs.append(f"And {len(events) - MOST_TOLD} more: {public_url}/")
    paragraphs.append(
        f"You get this because you have an account there. "
        f"To be told less, or nothing: {public_url}/notices"
    )
    return "\n\n".join(paragraphs) + "\n"


def tell_event(event: Event, zone: str) -> str:
    """Return one open or click as a sentence."""
    local = event.timestamp.astimezone(ZoneInfo(zone))
    at = f"at {local:%H:%M} on {local.day} {local:%B} ({zone})"
    subject = f"“{_line(event.subject)}”" if event.subject else "a mail without subject"
    who, sure = _who(event), _how_sure(event)
    if event.type is EventType.OPENED:
        return f"{who} opened {subject} {at}: {sure}."
    link = _line(event.link_text or event.url or "")
    return f"{who} followed a link in {subject} {at}: {sure}.\nThe link: {link}"


def _who(event: Event) -> str:
    if event.attribution is Attribution.SHARED:
        return f"Someone of {', '.join(event.candidates)}"
    return event.recipient or "Someone"


def _how_sure(event: Event) -> str:
    likely, _ = tell_likely(event.confidence or 0.0)
    by = ", through an image proxy" if event.classification is Agent.PROXY else ""
    return f"{likely} a person{by}"


def _line(text: str) -> str:
    """Return a text from outside as part of one line."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
