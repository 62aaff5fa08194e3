"""Events as people read them: one story a mail, in it who did what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.console.wording import Sureness, tell_sureness, tell_who
from ledger.event import Agent, Event, EventType
from ledger.mode import TrackingMode

Numbered = tuple[int, Event]
"""An event and its place in the order of recording."""

_SEEN = frozenset({EventType.OPENED, EventType.CLICKED})
_DELIVERY = frozenset({EventType.ACCEPTED, EventType.RELAYED, EventType.DEFERRED, EventType.FAILED})


@dataclass(frozen=True, slots=True)
class Act:
    """The opens of one person, or his clicks on one link: of one kind of agent."""

    type: EventType
    link_text: str | None
    url: str | None
    events: tuple[Event, ...]
    """Newest first, at least one."""

    @property
    def times(self) -> int:
        """How often: repeats of a view count."""
        return sum(1 + event.repeats for event in self.events)

    @property
    def newest(self) -> Event:
        """The last one by its own time: what was spilled is recorded later than it came."""
        return max(self.events, key=lambda event: event.timestamp)

    @property
    def sureness(self) -> Sureness:
        """Of the event that speaks most for a person."""
        return max(map(tell_sureness, self.events), key=lambda sureness: sureness.level)

    @property
    def provisional(self) -> bool:
        """Whether a label may still change, because what follows it is waited for."""
        return any(event.notice == "held" for event in self.events)

    @property
    def inferred(self) -> bool:
        """Whether all of it was concluded from a click and not seen itself."""
        return all(event.inferred_from is not None for event in self.events)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody, as far as it is known who, and what he did."""

    name: str
    acts: tuple[Act, ...]

    def times(self, event_type: EventType) -> int:
        """How often he did something of this kind."""
        return sum(act.times for act in self.acts if act.type is event_type)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a mail has come, as far as the events at hand tell."""

    waiting: tuple[str, ...]
    relayed: tuple[str, ...]
    deferred: tuple[Event, ...]
    failed: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """All that happened lately with one mail."""

    send_id: str | None
    """None: of anonymous events, which keep sender and day only."""
    subject: str | None
    sender: str | None
    people: tuple[Actor, ...]
    """Who may have looked, the latest first."""
    machines: tuple[Actor, ...]
    """Programs and own networks: told, and never counted as a person."""
    delivery: Delivery
    number: int
    """Of the latest event that concerns people, else of the latest."""
    newest: Event
    """The event of that number."""
    accepted: bool
    """Whether the whole story is at hand, from acceptance on."""
    tracked: bool
    """Whether anybody's copy is tracked at all, as far as the events at hand tell."""

    @property
    def machine_agents(self) -> frozenset[Agent | None]:
        """What kinds of agent are told among the machines."""
        acts = (act for actor in self.machines for act in actor.acts)
        return frozenset(act.events[0].classification for act in acts)

    @property
    def key(self) -> str:
        """A name for the story within its page."""
        return self.send_id or f"{self.sender}-{self.newest.timestamp:%Y%m%d}"


def tell_stories(events: Sequence[Numbered]) -> tuple[Story, ...]:
    """Return the stories of some events, the one with the latest news first.

    Law: each open and click is in exactly one act of one story, whatever its agent.
    """
    mails: dict[object, list[Numbered]] = {}
    for number, event in events:
        mails.setdefault(_mail_of(event), []).append((number, event))
    stories = (_tell_story(some) for some in mails.values())
    return tuple(sorted(stories, key=lambda story: story.number, reverse=True))


def _mail_of(event: Event) -> object:
    return event.send_id or (event.sender, event.timestamp.date())


def _tell_story(events: Sequence[Numbered]) -> Story:
    newest_first = sorted(events, key=lambda numbered: numbered[0], reverse=True)
    plain = [event for _, event in newest_first]
    seen = [event for event in plain if event.type in _SEEN]
    attention = [(number, one) for number, one in newest_first if not _is_folded(one)]
    number, newest = (attention or newest_first)[0]
    return Story(
        send_id=newest.send_id,
        subject=newest.subject,
        sender=newest.sender,
        people=_actors(event for event in seen if not _is_folded(event)),
        machines=_actors(event for event in seen if _is_folded(event)),
        delivery=_delivery(plain),
        number=number,
        newest=newest,
        accepted=any(event.type is EventType.ACCEPTED for event in plain),
        tracked=any(event.tracking_mode not in (None, TrackingMode.OFF) for event in plain),
    )


def _is_folded(event: Event) -> bool:
    agent = event.classification
    return agent is not None and (agent.machine or agent is Agent.SELF)


def _actors(newest_first: Iterable[Event]) -> tuple[Actor, ...]:
    by_name: dict[str, list[Event]] = {}
    for event in newest_first:
        by_name.setdefault(tell_who(event), []).append(event)
    return tuple(Actor(name, _acts(events)) for name, events in by_name.items())


def _acts(newest_first: Iterable[Event]) -> tuple[Act, ...]:
    acts: dict[object, list[Event]] = {}
    for event in newest_first:
        acts.setdefault((event.type, event.url, event.classification), []).append(event)
    return tuple(
        Act(events[0].type, events[0].link_text, events[0].url, tuple(events))
        for events in acts.values()
    )


def _delivery(newest_first: Sequence[Event]) -> Delivery:
    # A recipient keeps the place he was accepted in; his last state stands there.
    latest = {tell_who(event): event for event in reversed(newest_first) if event.type in _DELIVERY}
    states = latest.values()
    return Delivery(
        waiting=tuple(tell_who(one) for one in states if one.type is EventType.ACCEPTED),
        relayed=tuple(tell_who(one) for one in states if one.type is EventType.RELAYED),
        deferred=tuple(one for one in states if one.type is EventType.DEFERRED),
        failed=tuple(one for one in states if one.type is EventType.FAILED),
    )
