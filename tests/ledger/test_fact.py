"""Facts as JSON and back."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import EventType
from ledger.fact import (
    CopyFact,
    Fact,
    LinkFact,
    RecipientFact,
    RecipientTold,
    SendAccepted,
    fact_object,
    pack_verdict,
    read_fact,
    unpack_verdict,
)
from ledger.mode import TrackingMode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MAYBE = st.none() | TEXT
INSTANTS = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2999, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]),
)
CONTENT = st.lists(st.dictionaries(TEXT, MAYBE, max_size=2), max_size=3)
EXPLAINED = st.fixed_dictionaries({"recipient": TEXT, "parts": CONTENT, "links": CONTENT})
VERDICTS = st.lists(EXPLAINED | st.fixed_dictionaries({"recipient": TEXT}), max_size=4).map(tuple)
SENDS = st.builds(
    SendAccepted,
    send_id=TEXT,
    accepted_at=INSTANTS,
    message_id=MAYBE,
    sender=MAYBE,
    account=MAYBE,
    client=TEXT,
    subject=MAYBE,
    size_bytes=st.integers(0),
    base_url=TEXT,
    verdict=VERDICTS,
    tags=st.lists(TEXT, max_size=3).map(tuple),
    metadata=st.dictionaries(TEXT, TEXT, max_size=3),
    copies=st.lists(
        st.builds(
            CopyFact,
            st.integers(0, 2**63 - 1),
            st.sampled_from(TrackingMode),
            st.lists(st.builds(RecipientFact, TEXT, TEXT, TEXT), max_size=3).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    links=st.lists(st.builds(LinkFact, st.integers(0, 4095), TEXT, TEXT, TEXT), max_size=3).map(
        tuple
    ),
)
TOLD = st.builds(
    RecipientTold,
    event_id=TEXT,
    type=st.sampled_from([EventType.RELAYED, EventType.DEFERRED, EventType.FAILED]),
    at=INSTANTS,
    send_id=TEXT,
    copy_id=st.integers(0, 2**63 - 1),
    recipient=TEXT,
    recipient_type=TEXT,
    reply=TEXT,
    upstream=TEXT,
)


@given(st.one_of(SENDS, TOLD))
def test_law_read_fact_gives_the_fact_back(fact: Fact) -> None:
    text = json.dumps(fact_object(fact), allow_nan=False)
    again = read_fact(json.loads(text))
    assert again == fact
    assert isinstance(again, type(fact))


@given(VERDICTS, st.data())
def test_law_unpack_verdict_gives_the_verdict_back(
    verdict: tuple[dict[str, object], ...], data: st.DataObject
) -> None:
    shared = (
        [*verdict, *data.draw(st.lists(st.sampled_from(verdict), max_size=3))] if verdict else []
    )
    assert unpack_verdict(json.loads(json.dumps(pack_verdict(shared)))) == tuple(shared)


def test_what_recipients_share_is_written_once() -> None:
    parts = [{"part": "1"}]
    links = [{"link_id": str(number), "url": "https://x.example/" * 10} for number in range(60)]
    verdict = [
        {"recipient": f"r{number}@x.example", "parts": parts, "links": links}
        for number in range(1000)
    ]
    packed = pack_verdict(verdict)
    assert packed["contents"] == [{"parts": parts, "links": links}]
    assert len(json.dumps(packed)) < 60_000
    first, *_, last = unpack_verdict(packed)
    assert first["links"] is last["links"]


def test_a_told_fact_is_plain_json() -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    fact = RecipientTold("E", EventType.RELAYED, at, "S", 7, "b@x.example", "to", "250 OK", "u")
    assert fact_object(fact) == {
        "fact": "recipient_told",
        "event_id": "E",
        "type": "email.relayed",
        "at": "2026-11-23T12:00:00.000000+00:00",
        "send_id": "S",
        "copy_id": 7,
        "recipient": "b@x.example",
        "recipient_type": "to",
        "reply": "250 OK",
        "upstream": "u",
        "reasons": [],
    }


@pytest.mark.parametrize(
    "said", [{}, {"fact": "rumour"}, {"fact": "recipient_told"}, {"fact": "send_accepted"}]
)
def test_what_is_no_fact_is_not_read(said: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_fact(said)
