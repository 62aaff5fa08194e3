"""Why no open or click of a recipient is counted: one case each."""

from datetime import UTC, datetime
from typing import Any

import pytest

from collector.console.unseen import tell_unseen
from ledger.event import Agent, Attribution, Event, EventType

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BOB = "bob@example.org"


def told(kind: EventType, **values: Any) -> Event:
    return Event("e", kind, NOON, **{"recipient": BOB, **values})


def because(of: str, because: str, name: str) -> list[dict[str, str]]:
    return [{"of": of, "is": "off", "because": because, "name": name}]


RELAYED = told(EventType.RELAYED)
OFF = {"mode": "off", "opens": False, "clicks": "none"}
SCANNED = told(EventType.OPENED, classification=Agent.SCANNER, reasons=("a_new_code",), repeats=2)
SHARED = told(
    EventType.OPENED,
    recipient=None,
    candidates=(BOB, "eve@example.org"),
    attribution=Attribution.SHARED,
    classification=Agent.PROXY,
)
CASES: list[tuple[dict[str, Any], list[Event], str | None]] = [
    ({}, [], "no answer so far"),
    ({}, [told(EventType.RELAYED, recipient="eve@example.org")], "no answer so far"),
    ({}, [told(EventType.DEFERRED)], "it was deferred"),
    ({}, [told(EventType.DEFERRED), told(EventType.FAILED)], "refused"),
    (OFF | {"reasons": because("mode", "content", "no_html")}, [RELAYED], "no HTML part"),
    (OFF | {"reasons": because("mode", "content", "dkim_signed")}, [RELAYED], "DKIM-signed"),
    (OFF | {"reasons": because("mode", "content", "encrypted")}, [RELAYED], "encrypted"),
    (OFF | {"reasons": because("mode", "rule", "authorities")}, [RELAYED], "rule “authorities”"),
    (OFF | {"reasons": because("mode", "consent", "denied")}, [RELAYED], "consent: denied"),
    (OFF | {"reasons": []}, [RELAYED], "nothing in it that could be tracked"),
    (OFF | {"mode": "individual", "reasons": because("opens", "rule", "r")}, [RELAYED], "Neither"),
    ({"opens": False, "reasons": because("opens", "rule", "r")}, [RELAYED], "no link was followed"),
    ({}, [RELAYED, SCANNED], "3 in all: a new code"),
    ({}, [RELAYED, told(EventType.CLICKED)], "1 in all."),
    ({}, [RELAYED, told(EventType.WITHDRAWN)], "withdrawn since"),
    ({"mode": "shared"}, [RELAYED], "“someone of these”"),
    ({"mode": "anonymous"}, [RELAYED], "never by name"),
    ({}, [RELAYED], "images are off, or it was not read"),
    ({}, [RELAYED, SHARED], None),
    ({}, [RELAYED, SCANNED, told(EventType.CLICKED, classification=Agent.HUMAN_LIKELY)], None),
]


@pytest.mark.parametrize(("said", "events", "expected"), CASES)
def test_the_most_decisive_reason_is_told(
    explain: Any, said: dict[str, Any], events: list[Event], expected: str | None
) -> None:
    found = tell_unseen(explain(BOB, 1, **said), events)
    assert found is None if expected is None else expected in (found or "")
