from datetime import UTC, datetime, timedelta

import pytest

from ledger.address import parse_address
from ledger.event import Agent, EventType
from ledger.events import EventFilter
from ledger.lookup import WORDS, AskedError, read_lookup

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_every_word_is_read() -> None:
    asked = {
        "sender": ["ann@example.com"],
        "recipient": ["bob@example.org"],
        "subject": [" offer "],
        "message_id": ["<m@example.com>"],
        "url": ["example.com"],
        "reply": ["4.7.1"],
        "type": ["opened", "email.clicked"],
        "classification": ["proxy"],
        "since": ["2d"],
        "until": ["2026-11-23"],
    }
    assert set(asked) == set(WORDS)
    assert read_lookup(asked, NOW) == EventFilter(
        sender=parse_address("ann@example.com"),
        recipient=parse_address("bob@example.org"),
        subject="offer",
        message_id="<m@example.com>",
        url="example.com",
        reply="4.7.1",
        types=frozenset({EventType.OPENED, EventType.CLICKED}),
        classifications=frozenset({Agent.PROXY}),
        since=NOW - timedelta(days=2),
        until=NOW.replace(hour=0),
    )


def test_what_is_empty_does_not_narrow() -> None:
    assert read_lookup({name: ["", "  "] for name in WORDS}, NOW) == EventFilter()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sender", "nobody"),
        ("recipient", "a b@example.org"),
        ("type", "looked"),
        ("classification", "robot"),
        ("since", "yesterday"),
        ("until", "0000-00-00"),
    ],
)
def test_a_word_that_can_not_be_read_is_named(name: str, text: str) -> None:
    with pytest.raises(AskedError) as error:
        read_lookup({name: [text]}, NOW)
    assert error.value.name == name
    assert str(error.value)
