from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.attribute import Settlement, attribute_hits
from collector.hit import Classification, Trace
from collector.kept import Judged, Kept, Seen, features_of
from ledger.event import Agent, Attribution, Event, EventType
from ledger.mode import TrackingMode
from ledger.story import PastEvent, RecordedHit, StoredLink, Story
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERSON = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.1; Pro)"
OTHER_PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0"
GMAIL = "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"
TOOL = "curl/8"
LINK = StoredLink("https://example.net/a#top", "our offer")
JUDGED = Classification(Agent.HUMAN_LIKELY, 0.8, ("mail_program",), "1")


def seen(number: int, after_s: float, agent: str = PERSON, **more: Any) -> RecordedHit:
    kind, slot = more.get("kind", HitKind.OPEN), more.get("slot", 0)
    at = AT + timedelta(seconds=after_s)
    trace = Trace(at, kind, slot, agent, network=more.get("network", "n"))
    return recorded(number, at, Seen(trace, "203.0.113.0", more.get("altered", False)), kind, slot)


def judged(number: int, kind: HitKind = HitKind.OPEN, **more: bool) -> RecordedHit:
    return recorded(number, AT, Judged(JUDGED, **more), kind, 0)


def recorded(number: int, at: datetime, kept: Kept, kind: HitKind, slot: int) -> RecordedHit:
    url = "https://example.net/a" if kind is HitKind.CLICK else None
    return RecordedHit(f"H{number}", at, kind, 7, slot, True, url, features_of(kept))


def story(*hits: RecordedHit, **more: Any) -> Story:
    return Story(
        copy_id=7,
        mode=more.get("mode", TrackingMode.INDIVIDUAL),
        send_id="S1",
        message_id="m@example.com",
        sender="a@example.com",
        subject="Offer",
        tags=("spring",),
        metadata={"deal": "7"},
        recipients=tuple((name, "cc") for name in more.get("recipients", ("b@example.org",))),
        links={1: LINK},
        history=hits,
        events=more.get("events", ()),
    )


def settle(*waiting: RecordedHit, told: Story | None = None) -> Settlement:
    tale = told or story(*waiting)
    return attribute_hits(waiting, {7: tale})


def events(settlement: Settlement) -> list[Event]:
    return [one.event for one in settlement.events]


def test_an_open_of_an_own_copy_is_its_recipients() -> None:
    (row,) = settle(seen(1, 0)).events
    assert (row.copy_id, row.hit_id) == (7, "H1")
    assert row.event == Event(
        event_id="H1",
        type=EventType.OPENED,
        timestamp=AT,
        send_id="S1",
        message_id="m@example.com",
        sender="a@example.com",
        subject="Offer",
        recipient="b@example.org",
        recipient_type="cc",
        attribution=Attribution.RECIPIENT,
        tracking_mode=TrackingMode.INDIVIDUAL,
        classification=Agent.HUMAN_LIKELY,
        confidence=0.8,
        reasons=("outlook_desktop",),
        rules_version=row.event.rules_version,
        first=True,
        user_agent=PERSON,
        ip_address="203.0.113.0",
        tags=("spring",),
        metadata={"deal": "7"},
    )


def test_a_click_bears_the_stored_link_and_without_one_what_was_answered() -> None:
    stored, unstored = events(
        settle(
            seen(1, 0, kind=HitKind.CLICK, slot=1),
            seen(2, 0, kind=HitKind.CLICK, slot=2),
        )
    )
    assert (stored.url, stored.link_id, stored.link_text) == (LINK.url, "1", "our offer")
    assert (unstored.url, unstored.link_id, unstored.link_text) == (
        "https://example.net/a",
        "2",
        None,
    )


@pytest.mark.parametrize(
    ("mode", "recipients", "attribution", "candidates"),
    [
        (
            "shared",
            ("b@example.org", "c@example.org"),
            "shared",
            ("b@example.org", "c@example.org"),
        ),
        ("shared", ("b@example.org",), "recipient", ()),
        ("individual", (), "anonymous", ()),  # forgotten
        ("anonymous", ("b@example.org",), "anonymous", ()),
    ],
)
def test_a_copy_of_several_names_candidates_and_nobody_more_than_it_may(
    mode: str, recipients: tuple[str, ...], attribution: str, candidates: tuple[str, ...]
) -> None:
    hit = seen(1, 0)
    told = story(hit, mode=TrackingMode(mode), recipients=recipients)
    (event,) = events(settle(hit, told=told))
    assert (event.attribution, event.candidates) == (attribution, candidates)
    assert event.recipient == ("b@example.org" if attribution == "recipient" else None)
    assert event.recipient_type == ("cc" if attribution == "recipient" else None)
    assert (event.user_agent is None) == (attribution == "anonymous")


def test_the_same_view_within_a_minute_is_a_repeat_and_later_an_event() -> None:
    settlement = settle(seen(1, 0), seen(2, 40), seen(3, 60), seen(4, 61))
    assert [event.event_id for event in events(settlement)] == ["H1", "H4"]
    assert settlement.repeats == {"H1": 2}
    assert settlement.settled == ["H1", "H2", "H3", "H4"]
    assert [event.first for event in events(settlement)] == [True, False]


def test_a_repeat_of_an_event_on_record_is_added_to_it() -> None:
    earlier, hit = seen(1, -30), seen(2, 0)
    past = PastEvent("E1", EventType.OPENED, earlier.at, "H1", first=True)
    settlement = settle(hit, told=story(earlier, hit, events=(past,)))
    assert (settlement.events, settlement.repeats) == ([], {"E1": 1})


@pytest.mark.parametrize(
    "other",
    [
        {"agent": OTHER_PERSON},
        {"network": "m"},
        {"kind": HitKind.CLICK},
        {"kind": HitKind.CLICK, "slot": 2},
    ],
)
def test_another_agent_network_kind_or_link_is_another_event(other: dict[str, Any]) -> None:
    settlement = settle(seen(1, 0), seen(2, 1, **other))
    assert [event.event_id for event in events(settlement)] == ["H1", "H2"]
    assert not settlement.repeats


def test_from_another_agent_and_network_it_is_a_replay_and_after_three_a_repeat() -> None:
    hits = [seen(n, n, f"{OTHER_PERSON}{n}", network=f"n{n}") for n in range(6)]
    settlement = settle(*hits)
    assert ["replay" in event.reasons for event in events(settlement)] == [False, True, True, True]
    assert settlement.repeats == {"H0": 2}


def test_law_no_number_of_machines_requests_makes_a_persons_open_a_repeat_of_theirs() -> None:
    """Law: no number of machines' requests makes a person's open a repeat of theirs."""
    flood = [seen(n, n, f"{TOOL}{n}", network=f"n{n % 2}") for n in range(9)]
    person = seen(9, 10, network="home")
    again = seen(10, 11, OTHER_PERSON, network="n7")
    settlement = settle(*flood, person, again)
    told = events(settlement)
    assert [event.classification for event in told].count(Agent.HUMAN_LIKELY) == 1
    assert (told[-1].event_id, told[-1].first) == ("H9", True)
    assert settlement.repeats["H9"] == 1, "the next person's is told to be seen already"
    assert sum(settlement.repeats.values()) + len(told) == 11


def test_a_replay_is_no_replay_after_a_minute() -> None:
    settlement = settle(seen(1, 0), seen(2, 61, OTHER_PERSON, network="m"))
    assert [event.reasons for event in events(settlement)] == [
        ("outlook_desktop",),
        ("mail_program",),
    ]


def test_the_first_is_the_first_that_a_person_may_have_seen() -> None:
    hits = [
        seen(1, 0, TOOL),
        seen(2, 70, GMAIL),
        seen(3, 140),
        seen(4, 150, kind=HitKind.CLICK, slot=1, altered=True),
        seen(5, 220, kind=HitKind.CLICK, slot=1),
    ]
    told = events(settle(*hits))
    assert [event.first for event in told] == [False, True, False, False, True]
    assert "altered_destination" in told[3].reasons


def test_the_first_on_record_stays_the_first() -> None:
    hit = seen(2, 0)
    past = PastEvent("E1", EventType.OPENED, AT - timedelta(days=9), None, first=True)
    (event,) = events(settle(hit, told=story(hit, events=(past,))))
    assert not event.first


def test_what_came_after_counts_where_it_is_known() -> None:
    swept = settle(*(seen(n, n / 10, kind=HitKind.CLICK, slot=n) for n in range(3)))
    assert all("sweep" in event.reasons for event in events(swept))


def test_of_an_anonymous_copy_with_enough_recipients_the_send_is_kept() -> None:
    hit = judged(1)
    told = story(hit, mode=TrackingMode.ANONYMOUS, recipients=tuple("abcde"))
    settlement = settle(hit, told=told)
    (row,) = settlement.events
    assert (row.event.send_id, row.event.attribution, row.event.first) == ("S1", "anonymous", True)
    assert (row.event.recipient, row.event.recipient_type, row.event.candidates) == (None, None, ())
    assert (row.event.user_agent, row.event.ip_address) == (None, None)
    assert settlement.settled == ["H1"]


any_hit = st.tuples(
    st.floats(0, 150),
    st.sampled_from([PERSON, OTHER_PERSON, TOOL]),
    st.sampled_from("nm"),
    st.sampled_from([HitKind.OPEN, HitKind.CLICK]),
    st.integers(0, 2),
)


@given(st.lists(any_hit, max_size=12), st.sampled_from(TrackingMode))
def test_law_each_hit_is_one_event_or_a_repeat_and_anonymous_names_nobody(
    found: list[tuple[float, str, str, HitKind, int]], mode: TrackingMode
) -> None:
    """Law: each hit is one event, or a repeat of one.

    Law: an event of an anonymous copy names nobody and holds no client data.
    """
    hits = [
        seen(n, after_s, agent, network=network, kind=kind, slot=slot)
        for n, (after_s, agent, network, kind, slot) in enumerate(sorted(found))
    ]
    settlement = settle(*hits, told=story(*hits, mode=mode, recipients=("b@x.org", "c@x.org")))
    told = events(settlement)
    assert len(told) + settlement.repeats.total() == len(hits)
    assert set(settlement.repeats) <= {event.event_id for event in told}
    assert all(sum(event.first for event in told if event.type is kind) <= 1 for kind in EventType)
    if mode is TrackingMode.ANONYMOUS:
        assert all(
            (event.recipient, event.candidates, event.user_agent, event.ip_address)
            == (None, (), None, None)
            for event in told
        )
