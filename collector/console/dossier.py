"""All that is known of one mail, put in order for its page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.console.stories import Numbered
from collector.console.wording import tell_because, tell_passed
from ledger.event import Event, EventType

Explained = Mapping[str, Any]
"""One object of `explain --json`, as it was frozen at acceptance."""

_STATES = frozenset({EventType.RELAYED, EventType.DEFERRED, EventType.FAILED})


@dataclass(frozen=True, slots=True)
class Decision:
    """One value of what may be tracked, and what decided it."""

    of: str
    value: str
    because: str


@dataclass(frozen=True, slots=True)
class RecipientLine:
    """One recipient: how his mail was treated and how far it came."""

    recipient: str
    recipient_type: str
    mode: str
    opens: bool
    clicks: str
    decisions: tuple[Decision, ...]
    shares_with: int
    """How many others have the same copy."""
    state: Event | None
    """The last word of the upstream; None: there was none so far."""


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One link of the mail, and whether it is tracked."""

    text: str
    url: str
    tracked: bool
    why_not: str
    clicks: int
    """Clicks of people on it, as far as they are told."""


@dataclass(frozen=True, slots=True)
class PartLine:
    """A part of the mail that was left alone."""

    part: str
    media_type: str
    why_not: str


def recipient_lines(
    verdict: Sequence[Explained], events: Sequence[Numbered]
) -> tuple[RecipientLine, ...]:
    """Return one line for each recipient of the verdict, in its order."""
    states = {event.recipient: event for _, event in sorted(events) if event.type in _STATES}
    copies = [one.get("copy") for one in verdict]
    return tuple(
        RecipientLine(
            recipient=str(one["recipient"]),
            recipient_type=str(one["recipient_type"]),
            mode=str(one["mode"]),
            opens=bool(one["opens"]),
            clicks=str(one["clicks"]),
            decisions=tuple(map(_decision, one.get("reasons", ()))),
            shares_with=copies.count(one.get("copy")) - 1,
            state=states.get(one["recipient"]),
        )
        for one in verdict
    )


def link_lines(verdict: Sequence[Explained], events: Sequence[Numbered]) -> tuple[LinkLine, ...]:
    """Return the links of the mail: tracked where they are so for any recipient."""
    clicks = [
        event
        for _, event in events
        if event.type is EventType.CLICKED
        and event.classification
        and event.classification.attentive
    ]
    links: dict[object, Explained] = {}
    for link in _all_of(verdict, "links"):
        key = (link.get("part"), link.get("link_id"), link.get("url"), link.get("text"))
        if key not in links or link["tracked"]:
            links[key] = link
    return tuple(
        LinkLine(
            text=str(link.get("text") or ""),
            url=str(link["url"]),
            tracked=bool(link["tracked"]),
            why_not=tell_passed(str(link.get("reason") or "")),
            clicks=sum(
                1 + click.repeats
                for click in clicks
                if link["tracked"] and click.link_id == link.get("link_id")
            ),
        )
        for link in links.values()
    )


def left_parts(verdict: Sequence[Explained]) -> tuple[PartLine, ...]:
    """Return the parts in which nothing is tracked for anybody, and why."""
    parts: dict[object, Explained] = {}
    for part in _all_of(verdict, "parts"):
        if part["part"] not in parts or part["tracked"]:
            parts[part["part"]] = part
    return tuple(
        PartLine(
            str(part["part"]), str(part["media_type"]), tell_passed(str(part.get("reason") or ""))
        )
        for part in parts.values()
        if not part["tracked"]
    )


def _all_of(verdict: Sequence[Explained], name: str) -> Iterable[Explained]:
    return (one for explained in verdict for one in explained.get(name, ()))


def _decision(reason: Explained) -> Decision:
    told = tell_because(str(reason["because"]), str(reason.get("name", "")))
    return Decision(str(reason["of"]), str(reason["is"]), told)
