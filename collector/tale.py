"""A copy's story while its hits are judged, growing with the batch.

Law: no event loses the name of a machine while hits come in: what made it one may be out of sight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from collector.classify import classify
from collector.hit import Nearby, Scene, Trace
from collector.kept import Seen, kept_of
from collector.sweeps import ALTERED
from ledger.event import Agent, EventType
from ledger.story import PastEvent, RecordedHit, Relabelling, StoredLink, Story
from ledger.token import HitKind

VIEW_LASTS = timedelta(seconds=60)
"""Contract, hits and events: requests within it may be repeats of one view, or replays."""

REPLAY = "replay"
NEW_PLACE = "new_place"
INFERRED = "inferred_from_click"
APPENDED = (ALTERED, REPLAY, NEW_PLACE, INFERRED)
"""Reasons that no rule gives; they stay when rules run again."""

MAX_OTHERS = 300
"""Of a copy asked for more often within two minutes, the latest say enough."""

_LEAVING = (
    "unsubscri", "opt-out", "optout", "opt_out", "abmelde", "abbestell", "désabonn", "desabonn",
    "desinscri", "désinscri", "avregistrera", "avprenumerera", "darse-de-baja", "darse de baja",
    "disiscri", "afmelden", "uitschrijven", "wypisz",
)  # fmt: skip
"""Of addresses and words of links to unsubscribe, in the languages of the field's templates."""


class Tale:
    """What is known of one copy."""

    def __init__(self, story: Story) -> None:
        """Take the story as the ledger has it."""
        self.story = story
        self.past = list(story.events)
        self._nearby = tuple(Nearby(*one) for one in story.nearby)
        self._traces = {
            hit.hit_id: trace_of_hit(hit, kept, story.links.get(hit.slot))
            for hit in story.history
            if isinstance(kept := kept_of(hit), Seen)
        }

    def scene(self, hit_id: str) -> Scene:
        """Return a hit among the others that are known."""
        hit = self._traces[hit_id]
        others = tuple(one for name, one in self._traces.items() if name != hit_id)
        readers = max(1, len(self.story.recipients))
        return Scene(hit, others[-MAX_OTHERS:], readers, self.story.relayed_at, self._nearby)

    def add(self, hit: RecordedHit, seen: Seen) -> Trace:
        """Return what rules look at of a hit, and hold it to be known from now on."""
        trace = trace_of_hit(hit, seen, self.story.links.get(hit.slot))
        self._traces[hit.hit_id] = trace
        return trace

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

    def was_open(self) -> bool:
        """Tell whether it is on record that somebody had the mail open."""
        return any(may_be_first(one) and one.type is EventType.OPENED for one in self.past)

    def opened_elsewhere(self, agent: str, ip_address: str | None) -> bool:
        """Tell whether the first open came by another program from another network."""
        return any(
            event.first
            and event.type is EventType.OPENED
            and None not in (event.ip_address, ip_address)
            and event.ip_address != ip_address
            and event.user_agent != (agent or None)
            for event in self.past
        )

    def look_back(self, at: datetime) -> list[Relabelling]:
        """Return earlier events that later hits show to be a machine's, or maybe one's."""
        if len(self._traces) == 1 and not self._nearby:
            return []  # it came alone, as most do, and was judged so
        anew = {event.event_id: event for event in self._rejudged()}
        if not anew:
            return []
        before = self.past
        self.past = settle_first([anew.get(one.event_id, one) for one in before])
        return relabellings(before, self.past, at)

    def _rejudged(self) -> Iterator[PastEvent]:
        followed: dict[str, PastEvent] = {}
        for event in self.past[-MAX_OTHERS:]:
            source = None if event.inferred_from is None else followed.get(event.inferred_from)
            if source is not None:
                yield judge_inferred(event, source)
            if event.agent is None or event.agent.machine or event.hit_id not in self._traces:
                continue
            judged = judge_again(event, self.scene(event.hit_id))
            lost = event.agent.attentive and judged.agent is Agent.UNKNOWN
            if lost or (judged.agent is not None and judged.agent.machine):
                followed[event.event_id] = judged
                yield judged


def judge_again(event: PastEvent, scene: Scene) -> PastEvent:
    """Return an event as the rules see it in a scene; its place among the others is kept."""
    judged = classify(scene)
    return replace(
        event,
        agent=judged.agent,
        confidence=judged.confidence,
        reasons=judged.reasons + tuple(one for one in event.reasons if one in APPENDED),
        rules_version=judged.rules_version,
    )


def judge_inferred(event: PastEvent, source: PastEvent) -> PastEvent:
    """Return an inferred open as the click it was inferred from is judged."""
    return replace(
        event,
        agent=source.agent,
        confidence=source.confidence,
        rules_version=source.rules_version,
    )


def settle_first(standing: Sequence[PastEvent]) -> list[PastEvent]:
    """Return events with the first of each kind anew; one that is first and may be it stays."""
    first: dict[EventType, str] = {}
    for event in sorted(standing, key=lambda one: (not one.first, one.at, one.event_id)):
        if may_be_first(event):
            first.setdefault(event.type, event.event_id)
    return [replace(one, first=first.get(one.type) == one.event_id) for one in standing]


def relabellings(
    before: Sequence[PastEvent], after: Sequence[PastEvent], at: datetime
) -> list[Relabelling]:
    """Return what is new in events, which are the same in the same order."""
    return [
        Relabelling(
            event_id=new.event_id,
            at=at,
            agent=new.agent,
            confidence=new.confidence or 0.0,
            reasons=new.reasons,
            rules_version=new.rules_version or "",
            first=new.first,
            told=(new.agent, new.first) != (old.agent, old.first),
        )
        for old, new in zip(before, after, strict=True)
        if new != old and new.agent is not None
    ]


def trace_of_hit(hit: RecordedHit, seen: Seen, link: StoredLink | None) -> Trace:
    """Return what rules look at of a hit."""
    if hit.kind is HitKind.OPEN:
        return seen.trace
    said = f"{hit.url or ''} {link.url if link else ''} {link.text if link else ''}".lower()
    leaves = any(word in said for word in _LEAVING)
    if not leaves and not seen.altered:
        return seen.trace
    return replace(seen.trace, leaves=leaves, signs=seen.trace.signs + (ALTERED,) * seen.altered)


def may_be_first(event: PastEvent) -> bool:
    """Tell whether an event may be the first of its kind: somebody looked, and at what we sent."""
    attentive = event.agent is not None and event.agent.attentive
    return attentive and ALTERED not in event.reasons
