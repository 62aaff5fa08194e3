"""Events as stories."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.console.stories import Numbered, tell_stories
from ledger.event import Agent, Attribution, Event, EventType
from ledger.mode import TrackingMode

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OPENED, CLICKED = EventType.OPENED, EventType.CLICKED


def told(number: int, kind: EventType, **values: object) -> Numbered:
    usual: dict[str, object] = {
        "timestamp": NOON + timedelta(minutes=number),
        "send_id": "S1",
        "subject": "Offer",
        "sender": "a@acme.example",
        "recipient": "bob@example.org",
        "attribution": Attribution.RECIPIENT,
    }
    if kind in (OPENED, CLICKED):
        usual |= {"classification": Agent.HUMAN_LIKELY, "confidence": 0.9}
    return number, Event(f"e{number}", kind, **(usual | values))  # type: ignore[arg-type]


def test_one_mail_is_one_story_and_one_person_one_actor() -> None:
    (story,) = tell_stories(
        [
            told(1, EventType.ACCEPTED),
            told(2, EventType.RELAYED),
            told(3, OPENED),
            told(4, OPENED, recipient="carol@example.org"),
            told(5, OPENED, repeats=2),
            told(6, CLICKED, url="https://a.example", link_text="prices"),
        ]
    )
    assert [actor.name for actor in story.people] == ["bob@example.org", "carol@example.org"]
    clicked, opened = story.people[0].acts
    assert (clicked.type, clicked.link_text, clicked.times) == (CLICKED, "prices", 1)
    assert (opened.type, opened.times, opened.newest.event_id) == (OPENED, 4, "e5")
    assert story.number == 6
    assert story.accepted
    assert story.delivery.relayed == ("bob@example.org",)
    assert story.machines == ()


def test_the_story_with_the_latest_news_of_people_comes_first() -> None:
    stories = tell_stories(
        [
            told(1, OPENED),
            told(2, OPENED, send_id="S2"),
            told(3, OPENED, classification=Agent.SCANNER),
        ]
    )
    assert [story.send_id for story in stories] == ["S2", "S1"]


def test_programs_and_own_networks_are_told_and_not_counted_as_people() -> None:
    for agent in (Agent.PREFETCH, Agent.SCANNER, Agent.UNFURL, Agent.SELF):
        (story,) = tell_stories([told(1, OPENED, classification=agent, repeats=3)])
        assert story.people == ()
        assert story.machines[0].name == "bob@example.org"
        assert story.machines[0].times(OPENED) == 4
        assert story.machines[0].times(CLICKED) == 0
        assert story.machine_agents == {agent}
    for agent in (Agent.HUMAN_LIKELY, Agent.PROXY, Agent.UNKNOWN):
        (story,) = tell_stories([told(1, OPENED, classification=agent)])
        assert story.machines == ()
        assert story.people[0].name == "bob@example.org"


def test_opens_by_a_person_and_by_a_proxy_are_two_acts() -> None:
    (story,) = tell_stories([told(1, OPENED), told(2, OPENED, classification=Agent.PROXY)])
    assert [act.events[0].event_id for act in story.people[0].acts] == ["e2", "e1"]


def test_someone_and_someone_of_several_stay_apart() -> None:
    shared = {"recipient": None, "attribution": Attribution.SHARED}
    (story,) = tell_stories(
        [
            told(1, OPENED, **shared, candidates=("a@x.example", "b@x.example")),
            told(2, OPENED, recipient=None, attribution=Attribution.ANONYMOUS),
        ]
    )
    names = [actor.name for actor in story.people]
    assert names == ["Someone", "Someone of a@x.example, b@x.example"]


def test_events_without_a_send_are_told_by_sender_and_day() -> None:
    anonymous = {"send_id": None, "subject": None, "recipient": None}
    stories = tell_stories(
        [
            told(1, OPENED, **anonymous),
            told(2, OPENED, **anonymous),
            told(3, OPENED, **anonymous, sender="b@acme.example"),
            told(4, OPENED, **anonymous, timestamp=NOON + timedelta(days=1)),
        ]
    )
    assert [story.people[0].acts[0].times for story in stories] == [1, 1, 2]
    assert stories[-1].key == "a@acme.example-20261124"


def test_a_delivery_is_told_by_its_last_word_in_the_order_of_acceptance() -> None:
    who = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"]
    events = [told(number, EventType.ACCEPTED, recipient=one) for number, one in enumerate(who)]
    events += [
        told(10, EventType.DEFERRED, recipient=who[1]),
        told(11, EventType.RELAYED, recipient=who[3]),
        told(12, EventType.RELAYED, recipient=who[0]),
        told(13, EventType.DEFERRED, recipient=who[2]),
        told(14, EventType.FAILED, recipient=who[2], reply="550 no"),
    ]
    (story,) = tell_stories(list(reversed(events)))
    assert story.delivery.relayed == (who[0], who[3])
    assert story.delivery.waiting == ()
    assert [event.recipient for event in story.delivery.deferred] == [who[1]]
    assert [event.reply for event in story.delivery.failed] == ["550 no"]


def test_who_is_still_waited_for_is_told() -> None:
    (story,) = tell_stories([told(1, EventType.ACCEPTED)])
    assert story.delivery.waiting == ("bob@example.org",)


def test_a_mail_nobody_is_tracked_in_says_so() -> None:
    off, on = TrackingMode.OFF, TrackingMode.INDIVIDUAL
    (story,) = tell_stories([told(1, EventType.ACCEPTED, tracking_mode=off)])
    assert not story.tracked
    (story,) = tell_stories(
        [told(1, EventType.ACCEPTED, tracking_mode=off), told(2, OPENED, tracking_mode=on)]
    )
    assert story.tracked


def test_an_act_is_as_sure_as_its_surest_event_and_provisional_while_any_is_held() -> None:
    (story,) = tell_stories([told(1, OPENED), told(2, OPENED, confidence=0.4, notice="held")])
    (act,) = story.people[0].acts
    assert act.sureness.level == 3
    assert act.provisional
    assert not act.inferred
    (story,) = tell_stories([told(1, OPENED, inferred_from="e0")])
    assert story.people[0].acts[0].inferred


@given(
    st.lists(
        st.builds(
            lambda kind, agent, send, whom, repeats: (kind, agent, send, whom, repeats),
            st.sampled_from([OPENED, CLICKED, EventType.RELAYED, EventType.RECLASSIFIED]),
            st.sampled_from([*Agent, None]),
            st.sampled_from(["S1", "S2", None]),
            st.sampled_from(["bob@example.org", "carol@example.org", None]),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
def test_no_open_or_click_is_lost_or_told_twice(
    drawn: list[tuple[EventType, Agent | None, str | None, str | None, int]],
) -> None:
    # Law: each open and click is in exactly one act of one story, whatever its agent.
    events = [
        told(number, kind, classification=agent, send_id=send, recipient=whom, repeats=repeats)
        for number, (kind, agent, send, whom, repeats) in enumerate(drawn)
    ]
    stories = tell_stories(events)
    acts = [
        act for story in stories for who in (*story.people, *story.machines) for act in who.acts
    ]
    shown = sorted(event.event_id for act in acts for event in act.events)
    assert shown == sorted(one.event_id for _, one in events if one.type in (OPENED, CLICKED))
    assert [story.number for story in stories] == sorted(
        (story.number for story in stories), reverse=True
    )
