from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.hit import Classification
from collector.kept import Judged
from collector.obscure import day_event, keeps_send, obscure
from ledger.event import Agent
from ledger.story import RecordedHit
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 17, 12, 3, 4, tzinfo=UTC)
labels = st.builds(
    Classification,
    st.sampled_from(Agent),
    st.floats(0, 1),
    st.lists(st.sampled_from(["gmail_image_proxy", "outlook_desktop", "sweep"])).map(tuple),
    st.just("1"),
)


def hit(number: int, kind: HitKind = HitKind.OPEN) -> RecordedHit:
    return RecordedHit(f"H{number}", AT, kind, 7, 1, html=True, url="https://example.net/")


@given(labels, labels)
def test_law_no_more_is_learnt_than_person_or_program(
    one: Classification, other: Classification
) -> None:
    """Law: of an obscured label nobody learns more than whether a person or a program seems to have
    acted: what names a provider names those recipients who are there.
    """
    if (one.agent.attentive, one.agent.machine) == (other.agent.attentive, other.agent.machine):
        assert obscure(one) == obscure(other)
    assert obscure(one).agent.attentive == one.agent.attentive
    assert obscure(one).agent.machine == one.agent.machine


@pytest.mark.parametrize(
    ("relayed", "withheld", "keeps"),
    [(4, False, False), (5, False, True), (5, True, False), (0, False, False)],
)
def test_the_send_is_kept_where_enough_people_could_have_done_it(
    relayed: int, withheld: bool, keeps: bool
) -> None:
    judged = Judged(Classification(Agent.UNKNOWN, 0.5, (), "1"), withheld)
    assert keeps_send(judged, relayed, 5) is keeps


def test_of_a_hit_that_keeps_no_send_the_day_is_all() -> None:
    judged = Judged(Classification(Agent.HUMAN_LIKELY, 0.5, (), "1"), True, True)
    found = day_event(hit(1, HitKind.CLICK), judged, "ann@sender.example")
    assert (found.day, found.type.value) == (
        AT.replace(hour=0, minute=0, second=0, microsecond=0),
        "email.clicked",
    )
    assert (found.sender, found.reasons) == ("ann@sender.example", ("altered_destination", "gpc"))
    assert len(found.event_id) == 26


def test_the_same_hit_has_the_same_event_and_another_another() -> None:
    judged = Judged(Classification(Agent.UNKNOWN, 0.5, (), "1"))
    names = [day_event(hit(number), judged, None).event_id for number in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
