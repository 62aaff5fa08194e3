"""Tells whose act a hit is: recorded hits and their copies' stories become events.

Law: each hit is one event, or a repeat of one.
Law: an event of an anonymous copy names nobody and holds no client data.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from collector.classify import classify
from collector.hit import Classification, Scene, Trace
from collector.kept import Judged, Seen, kept_of
from collector.obscure import ALTERED, TYPES
from ledger.event import Attribution, Event, EventType
from ledger.events import RecordedEvent
from ledger.mode import TrackingMode
from ledger.story import PastEvent, RecordedHit, Story
from ledger.token import HitKind

VIEW_LASTS = timedelta(seconds=60)
"""Contract, hits and events: requests within it may be repeats of one view, or replays."""

MAX_REPLAYS = 3
"""Replays of a minute that are events of their own."""

REPLAY = "replay"


@dataclass(slots=True)
class Settlement:
    """What is to be recorded for a batch of hits."""

    events: list[RecordedEvent] = field(default_factory=list)
    repeats: Counter[str] = field(default_factory=Counter)
    """By `event_id`: further requests of the same view."""
    settled: list[str] = field(default_factory=list)
    """Hits that are judged."""


def attribute_hits(waiting: Sequence[RecordedHit], stories: Mapping[int, Story]) -> Settlement:
    """Return the events of hits, in their order, which is that of time.

    A hit's event bears the hit's own id, so that judging twice adds nothing.
    """
    settlement = Settlement()
    tales = {copy_id: _Tale(story) for copy_id, story in stories.items()}
    for hit in waiting:
        tale = tales[hit.copy_id]
        match kept := kept_of(hit):
            case Judged():
                settlement.settled.append(hit.hit_id)
                told = _told(hit, tale, kept.classification, altered=kept.altered)
                _record(settlement, hit, tale, _anonymous(told))
            case Seen():
                _settle_seen(settlement, hit, kept, tale)
            case _:
                assert_never(kept)
    return settlement


class _Tale:
    """A copy's story, growing with the batch."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.past = list(story.events)
        self._traces = {
            hit.hit_id: kept.trace
            for hit in story.history
            if isinstance(kept := kept_of(hit), Seen)
        }

    def others(self, hit: RecordedHit) -> tuple[Trace, ...]:
        """Return the traces of all other hits that are near enough to be looked at."""
        return tuple(trace for hit_id, trace in self._traces.items() if hit_id != hit.hit_id)

    def views(self, trace: Trace) -> list[tuple[PastEvent, Trace]]:
        """Return the events of the last minute that asked for the same, in order of recording."""
        found = (
            (event, self._traces[event.hit_id])
            for event in self.past
            if event.hit_id is not None and event.hit_id in self._traces
        )
        return [
            (event, earlier)
            for event, earlier in found
            if (earlier.kind, earlier.slot) == (trace.kind, trace.slot)
            and timedelta(0) <= trace.at - earlier.at <= VIEW_LASTS
        ]

    def had_first(self, event_type: EventType) -> bool:
        """Tell whether the first of a kind is on record."""
        return any(event.first and event.type is event_type for event in self.past)


def _settle_seen(settlement: Settlement, hit: RecordedHit, seen: Seen, tale: _Tale) -> None:
    settlement.settled.append(hit.hit_id)
    views = tale.views(seen.trace)
    same = next((event for event, trace in views if trace.same_view(seen.trace)), None)
    replay = any(_elsewhere(trace, seen.trace) for _, trace in views)
    if same is None and replay and len(views) > MAX_REPLAYS:
        same = views[0][0]
    if same is not None:
        settlement.repeats[same.event_id] += 1
        return
    scene = Scene(seen.trace, tale.others(hit), max(1, len(tale.story.recipients)))
    event = replace(
        _told(hit, tale, classify(scene), altered=seen.altered),
        user_agent=seen.trace.agent or None,
        ip_address=seen.ip_address,
    )
    event = _attributed(event, tale.story)
    _record(settlement, hit, tale, replace(event, reasons=event.reasons + (REPLAY,) * replay))


def _record(settlement: Settlement, hit: RecordedHit, tale: _Tale, event: Event) -> None:
    settlement.events.append(RecordedEvent(event, hit.copy_id, hit.hit_id))
    past = PastEvent(event.event_id, event.type, event.timestamp, hit.hit_id, event.first)
    tale.past.append(past)


def _told(hit: RecordedHit, tale: _Tale, classification: Classification, *, altered: bool) -> Event:
    story = tale.story
    link = story.links.get(hit.slot) if hit.kind is HitKind.CLICK else None
    event_type = TYPES[hit.kind]
    first = classification.agent.attentive and not altered and not tale.had_first(event_type)
    return Event(
        event_id=hit.hit_id,
        type=event_type,
        timestamp=hit.at,
        send_id=story.send_id,
        message_id=story.message_id,
        sender=story.sender,
        subject=story.subject,
        tracking_mode=story.mode,
        url=link.url if link else hit.url,
        link_id=str(hit.slot) if hit.kind is HitKind.CLICK else None,
        link_text=link.text if link else None,
        classification=classification.agent,
        confidence=classification.confidence,
        reasons=classification.reasons + (ALTERED,) * altered,
        rules_version=classification.rules_version,
        first=first,
        tags=story.tags,
        metadata=story.metadata,
    )


def _attributed(event: Event, story: Story) -> Event:
    if story.mode in (TrackingMode.ANONYMOUS, TrackingMode.OFF) or not story.recipients:
        return _anonymous(event)
    if len(story.recipients) == 1:
        recipient, recipient_type = story.recipients[0]
        return replace(
            event,
            attribution=Attribution.RECIPIENT,
            recipient=recipient,
            recipient_type=recipient_type,
        )
    candidates = tuple(recipient for recipient, _ in story.recipients)
    return replace(event, attribution=Attribution.SHARED, candidates=candidates)


def _anonymous(event: Event) -> Event:
    return replace(
        event,
        attribution=Attribution.ANONYMOUS,
        tracking_mode=TrackingMode.ANONYMOUS,
        user_agent=None,
        ip_address=None,
    )


def _elsewhere(earlier: Trace, trace: Trace) -> bool:
    return earlier.agent != trace.agent and earlier.network != trace.network
