"""Events, in the form of the contract."""

import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import Agent, Attribution, Event, EventType, event_object, format_instant
from ledger.mode import TrackingMode

AT = datetime(2026, 11, 23, 12, 0, 0, 123_456, tzinfo=UTC)
CONTRACT = [
    *["event_id", "type", "timestamp", "send_id", "message_id", "sender", "subject", "recipient"],
    *["recipient_type", "attribution", "candidates", "tracking_mode", "url", "link_id"],
    *["link_text", "classification", "machine", "confidence", "reasons", "rules_version"],
    *["first", "repeats", "notice", "inferred_from", "user_agent", "ip_address", "tags"],
    "metadata",
]


def test_an_open_has_exactly_the_keys_of_the_contract() -> None:
    assert set(event_object(Event("E", EventType.OPENED, AT))) == set(CONTRACT)


def test_an_open_is_the_json_of_the_contract() -> None:
    event = Event(
        event_id="E",
        type=EventType.OPENED,
        timestamp=AT,
        send_id="S",
        recipient="b@example.org",
        recipient_type="to",
        attribution=Attribution.SHARED,
        candidates=("b@example.org", "c@example.org"),
        tracking_mode=TrackingMode.SHARED,
        classification=Agent.HUMAN_LIKELY,
        confidence=0.82,
        reasons=("browser",),
        tags=("t",),
        metadata=MappingProxyType({"deal": "7"}),
    )
    shown = json.loads(json.dumps(event_object(event)))
    assert shown["type"] == "email.opened"
    assert shown["timestamp"] == "2026-11-23T12:00:00.123Z"
    assert shown["attribution"] == "shared"
    assert shown["candidates"] == ["b@example.org", "c@example.org"]
    assert shown["tracking_mode"] == "shared"
    assert shown["classification"] == "human_likely"
    assert shown["machine"] is False
    assert shown["metadata"] == {"deal": "7"}
    assert shown["tags"] == ["t"]
    assert shown["notice"] == "none"


@pytest.mark.parametrize(
    "kind", [EventType.ACCEPTED, EventType.RELAYED, EventType.DEFERRED, EventType.FAILED]
)
def test_a_delivery_event_says_what_the_upstream_replied(kind: EventType) -> None:
    shown = event_object(Event("E", kind, AT, reply="250 2.0.0 OK", upstream="default"))
    assert set(shown) == {*CONTRACT, "reply", "upstream"}
    assert shown["reply"] == "250 2.0.0 OK"


@pytest.mark.parametrize(
    ("agent", "machine", "attentive"),
    [
        (Agent.HUMAN_LIKELY, False, True),
        (Agent.PROXY, False, True),
        (Agent.PREFETCH, True, False),
        (Agent.SCANNER, True, False),
        (Agent.UNFURL, True, False),
        (Agent.SELF, False, False),
        (Agent.UNKNOWN, False, False),
    ],
)
def test_a_label_says_whether_somebody_looked(agent: Agent, machine: bool, attentive: bool) -> None:
    assert (agent.machine, agent.attentive) == (machine, attentive)
    assert (
        event_object(Event("E", EventType.OPENED, AT, classification=agent))["machine"] is machine
    )


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1)),  # noqa: DTZ001 - the zone is added
    st.integers(-14 * 60, 14 * 60),
)
def test_an_instant_is_utc_to_the_millisecond_with_z(naive: datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = format_instant(at)
    assert text.endswith("Z")
    assert len(text) == len("2026-11-23T12:00:00.123Z")
    assert timedelta(0) <= at - datetime.fromisoformat(text) < timedelta(milliseconds=1)
