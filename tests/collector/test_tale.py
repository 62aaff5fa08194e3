from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.again import judge_history
from collector.attribute import Settlement, attribute_hits
from collector.hit import Trace
from collector.kept import Seen, features_of
from ledger.event import Agent, EventType
from ledger.histories import History
from ledger.mode import TrackingMode
from ledger.story import PastEvent, RecordedHit, StoredLink, Story
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.1; Pro)"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0"
WORDS = {"accept": "present", "accept-language": "present", "sec-fetch-dest": "document"}


def hit(number: int, after_s: float, slot: int = 0, **more: Any) -> RecordedHit:
    at = AT + timedelta(seconds=after_s)
    kind = HitKind.CLICK if slot else HitKind.OPEN
    agent = more.get("agent", FIREFOX if slot else OUTLOOK)
    headers = WORDS if slot else {}
    trace = Trace(at, kind, slot, agent, headers, more.get("network", "n"))
    kept = Seen(trace, more.get("ip", "203.0.113.0"))
    url = f"https://example.net/{slot}" if slot else None
    return RecordedHit(f"H{number}", at, kind, 7, slot, True, url, features_of(kept))


class Record:
    """A ledger of one copy, in memory."""

    def __init__(self, *, infers: bool = True) -> None:
        self.hits: list[RecordedHit] = []
        self.events: dict[str, PastEvent] = {}
        self.told: list[tuple[str, str, bool]] = []
        self._infers = infers

    def take(self, found: RecordedHit) -> Settlement:
        self.hits.append(found)
        settlement = attribute_hits([found], {7: self._story()})
        for row in settlement.events:
            event = row.event
            self.events[event.event_id] = PastEvent(
                event.event_id,
                event.type,
                event.timestamp,
                row.hit_id,
                event.first,
                event.classification,
                event.confidence,
                event.reasons,
                event.rules_version,
                event.inferred_from,
                event.user_agent,
                event.ip_address,
            )
        for one in settlement.relabelled:
            old = self.events[one.event_id]
            self.events[one.event_id] = PastEvent(
                old.event_id,
                old.type,
                old.at,
                old.hit_id,
                one.first,
                one.agent,
                one.confidence,
                one.reasons,
                one.rules_version,
                old.inferred_from,
                old.user_agent,
                old.ip_address,
            )
            self.told.append((one.event_id, one.agent.value, one.first))
        return settlement

    def history(self) -> History:
        events = tuple(self.events.values())
        return History(7, None, 1, tuple(self.hits), events, {}, ())

    def _story(self) -> Story:
        return Story(
            copy_id=7,
            mode=TrackingMode.INDIVIDUAL,
            send_id="S",
            message_id=None,
            sender=None,
            subject=None,
            tags=(),
            metadata={},
            recipients=(("b@example.org", "to"),),
            links={n: StoredLink(f"https://example.net/{n}", "x") for n in range(9)},
            history=tuple(self.hits),
            infers_opens=self._infers,
            events=tuple(self.events.values()),
        )


def test_the_first_hits_of_a_sweep_look_human_and_are_labelled_anew() -> None:
    record = Record()
    record.take(hit(1, 0, slot=1))
    assert record.events["H1"].agent is Agent.HUMAN_LIKELY
    assert record.events["H1"].first
    for number in (2, 3):
        record.take(hit(number, number * 0.9, slot=number))
    assert {one.agent for one in record.events.values()} == {Agent.SCANNER}
    assert not any(one.first for one in record.events.values())
    assert ("H1", "scanner", False) in record.told


def test_an_open_inferred_from_a_click_goes_where_its_click_goes() -> None:
    record = Record()
    record.take(hit(1, 0, slot=1))
    (opened,) = [one for one in record.events.values() if one.type is EventType.OPENED]
    assert (opened.inferred_from, opened.first, opened.agent) == ("H1", True, Agent.HUMAN_LIKELY)
    for number in (2, 3):
        record.take(hit(number, number * 0.9, slot=number))
    assert record.events[opened.event_id].agent is Agent.SCANNER


def test_no_open_is_inferred_where_one_is_on_record_or_nobody_wants_it_told() -> None:
    opened = Record()
    opened.take(hit(1, 0))
    opened.take(hit(2, 30, slot=1))
    assert [one.type.value for one in opened.events.values()] == ["email.opened", "email.clicked"]
    unwanted = Record(infers=False)
    unwanted.take(hit(1, 0, slot=1))
    assert len(unwanted.events) == 1


def test_a_later_reader_stands_beside_the_machine_and_is_the_first() -> None:
    record = Record()
    for number in (1, 2, 3):
        record.take(hit(number, number / 2, slot=number))
    record.take(hit(4, 1300, network="m"))
    assert record.events["H4"].agent is Agent.HUMAN_LIKELY
    assert record.events["H4"].first
    assert record.events["H1"].agent is Agent.SCANNER


def test_what_is_first_passes_to_the_next_when_its_holder_is_a_machine_after_all() -> None:
    record = Record()
    record.take(hit(1, 0, slot=1))
    record.take(hit(2, 1.5, slot=4, agent=OUTLOOK, network="m"))  # the reader, meanwhile
    record.take(hit(3, 2, slot=2))
    record.take(hit(4, 3, slot=3))
    assert (record.events["H1"].first, record.events["H2"].first) == (False, True)


def test_opened_elsewhere_is_told_in_words_and_nothing_more() -> None:
    record = Record()
    record.take(hit(1, 0))
    record.take(hit(2, 4000, agent=THUNDERBIRD, network="m", ip="198.51.100.0"))
    record.take(hit(3, 8000, network="m", ip="198.51.100.0"))
    assert "new_place" not in record.events["H1"].reasons
    assert "new_place" in record.events["H2"].reasons
    assert "new_place" not in record.events["H3"].reasons  # the same program: he has moved


@pytest.mark.parametrize("agent", [OUTLOOK, FIREFOX])
def test_rules_of_today_find_nothing_new_in_what_they_have_judged(agent: str) -> None:
    record = Record()
    for number in range(3):
        record.take(hit(number, number * 200, slot=number, agent=agent))
    assert judge_history(record.history(), AT) == []


@given(
    st.lists(
        st.tuples(
            st.floats(0, 300), st.integers(0, 4), st.sampled_from("nm"), st.sampled_from("ab")
        ),
        max_size=8,
    )
)
def test_law_no_event_loses_the_name_of_a_machine_and_again_finds_nothing_twice(
    found: list[tuple[float, int, str, str]],
) -> None:
    """Law: no event loses the name of a machine while hits come in.

    Law: run twice, the second time finds nothing new.
    """
    record = Record()
    machines: set[str] = set()
    for number, (after_s, slot, network, agent) in enumerate(sorted(found)):
        record.take(hit(number, after_s, slot, network=network, agent=f"{FIREFOX}{agent}"))
        labels = {name: one.agent for name, one in record.events.items()}
        assert all(labels[name] is not None and labels[name].machine for name in machines)  # type: ignore[union-attr] # it is not None
        machines = {name for name, agent_ in labels.items() if agent_ and agent_.machine}
    once = judge_history(record.history(), AT)
    for one in once:
        old = record.events[one.event_id]
        record.events[one.event_id] = PastEvent(
            old.event_id,
            old.type,
            old.at,
            old.hit_id,
            one.first,
            one.agent,
            one.confidence,
            one.reasons,
            one.rules_version,
            old.inferred_from,
            old.user_agent,
            old.ip_address,
        )
    assert judge_history(record.history(), AT) == []
