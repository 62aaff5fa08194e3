"""Tells whose act a hit is: recorded hits and their copies' stories become events.

Law: each hit is one event, or a repeat of one.
Law: no number of machines' requests makes a person's open a repeat of theirs.
Law: an event of an anonymous copy names nobody and holds no client data.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from collector.classify import classify
from collector.hit import Classification, Trace
from collector.kept import Judged, Seen, kept_of
from collector.obscure import TYPES
from collector.sweeps import ALTERED
from collector.tale import INFERRED, NEW_PLACE, REPLAY, Tale
from ledger.event import Agent, Attribution, Event, EventType
from ledger.events import RecordedEvent
from ledger.mode import TrackingMode
from ledger.notices import Owing
from ledger.story import PastEvent, RecordedHit, Relabelling, Story
from ledger.token import HitKind

MAX_REPLAYS = 3
"""Replays of a minute that are events of their own."""

_ATTENTIVE = frozenset(agent for agent in Agent if agent.attentive)


@dataclass(slots=True)
class Settlement:
    """What is to be recorded for a batch of hits."""

    events: list[RecordedEvent] = field(default_factory=list)
    repeats: Counter[str] = field(default_factory=Counter)
    """By `event_id`: further requests of the same view."""
    settled: list[str] = field(default_factory=list)
    """Hits that are judged."""
    relabelled: list[Relabelling] = field(default_factory=list)
    """Earlier events that these hits show in another light."""
    notices: list[Owing] = field(default_factory=list)
    """What people are to be told of it: collector.notable."""


def attribute_hits(waiting: Sequence[RecordedHit], stories: Mapping[int, Story]) -> Settlement:
    """Return the events of hits, in their order, which is that of time.

    A hit's event bears the hit's own id, so that judging twice adds nothing.
    """
    settlement = Settlement()
    tales = {copy_id: Tale(story) for copy_id, story in stories.items()}
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
    if waiting:
        for tale in tales.values():
            settlement.relabelled.extend(tale.look_back(waiting[-1].at))
    return settlement


def _settle_seen(settlement: Settlement, hit: RecordedHit, seen: Seen, tale: Tale) -> None:
    settlement.settled.append(hit.hit_id)
    trace = tale.add(hit, seen)
    views = tale.views(trace)
    same = next((event for event, earlier in views if earlier.same_view(trace)), None)
    replay = any(_elsewhere(earlier, trace) for _, earlier in views)
    judged = None if same else classify(tale.scene(hit.hit_id))
    if judged is not None and replay and len(views) > MAX_REPLAYS:
        same = _hidden_behind(judged, [event for event, _ in views])
    if same is not None:
        settlement.repeats[same.event_id] += 1
    elif judged is not None:
        told = _told(hit, tale, judged, altered=seen.altered)
        told = replace(told, user_agent=trace.agent or None, ip_address=seen.ip_address)
        event = _attributed(told, tale.story)
        again = not replay and told.type is EventType.OPENED and told.classification in _ATTENTIVE
        moved = again and tale.opened_elsewhere(trace.agent, seen.ip_address)
        extra = (REPLAY,) * replay + (NEW_PLACE,) * moved
        event = replace(event, reasons=event.reasons + extra) if extra else event
        _record(settlement, hit, tale, event)


def _hidden_behind(judged: Classification, events: Sequence[PastEvent]) -> PastEvent | None:
    """Return the event that one replay too many adds to.

    Who knows a token can ask for it by many agents from many networks, and must not make a reader's
    own open one of them: that hides only behind what somebody is told to have seen already.
    """
    if not judged.agent.attentive:
        return events[0]
    return next((one for one in events if one.agent is not None and one.agent.attentive), None)


def _record(settlement: Settlement, hit: RecordedHit, tale: Tale, event: Event) -> None:
    settlement.events.append(RecordedEvent(event, hit.copy_id, hit.hit_id))
    tale.past.append(_past(event, hit.hit_id))
    if _tells_an_open(event, tale):
        opened = _inferred(event, first=not tale.had_first(EventType.OPENED))
        settlement.events.append(RecordedEvent(opened, hit.copy_id))
        tale.past.append(_past(opened, None))


def _past(event: Event, hit_id: str | None) -> PastEvent:
    return PastEvent(
        event_id=event.event_id,
        type=event.type,
        at=event.timestamp,
        hit_id=hit_id,
        first=event.first,
        agent=event.classification,
        confidence=event.confidence,
        reasons=event.reasons,
        rules_version=event.rules_version,
        inferred_from=event.inferred_from,
        user_agent=event.user_agent,
        ip_address=event.ip_address,
    )


def _tells_an_open(event: Event, tale: Tale) -> bool:
    """Tell whether a click is a person's who must have had the mail open, which is not on record.

    Of whom it may not be told that he opened it, it is not told by way of his click.
    """
    return (
        event.type is EventType.CLICKED
        and event.classification in _ATTENTIVE
        and event.attribution is not Attribution.ANONYMOUS
        and not {ALTERED, REPLAY} & set(event.reasons)
        and tale.story.infers_opens
        and not tale.was_open()
    )


def _inferred(click: Event, *, first: bool) -> Event:
    name = hashlib.blake2b(click.event_id.encode(), digest_size=13, person=b"inferred open")
    return replace(
        click,
        event_id=name.hexdigest(),
        type=EventType.OPENED,
        url=None,
        link_id=None,
        link_text=None,
        reasons=(INFERRED,),
        first=first,
        inferred_from=click.event_id,
    )


def _told(hit: RecordedHit, tale: Tale, classification: Classification, *, altered: bool) -> Event:
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
