from datetime import UTC, datetime

import pytest

from indicia.wording import tell_more, tell_what, tell_who
from ledger.event import Agent, Event, EventType
from ledger.mode import TrackingMode

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def of(event_type: EventType, **said: object) -> Event:
    return Event("e", event_type, NOW, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "what", "who", "more"),
    [
        (
            of(EventType.ACCEPTED, recipient="a@x.example", tracking_mode=TrackingMode.OFF),
            "accepted",
            "a@x.example",
            "off",
        ),
        (of(EventType.ACCEPTED), "accepted", "someone", ""),
        (
            of(EventType.FAILED, recipient="a@x.example", upstream="u", reply="550 no"),
            "failed",
            "a@x.example",
            "u: 550 no",
        ),
        (
            of(EventType.OPENED, candidates=("a@x.example", "b@x.example")),
            "opened",
            "someone of a@x.example, b@x.example",
            "",
        ),
        (
            of(
                EventType.CLICKED,
                url="https://x.example/",
                classification=Agent.SCANNER,
                reasons=("a sweep",),
                repeats=3,
            ),
            "clicked",
            "someone",
            "https://x.example/ · scanner · a sweep · and 3 times again",
        ),
        (
            of(EventType.OPENED, classification=Agent.PROXY, confidence=0.9),
            "opened",
            "someone",
            "proxy 90%",
        ),
    ],
)
def test_an_event_in_words(event: Event, what: str, who: str, more: str) -> None:
    assert (tell_what(event), tell_who(event), tell_more(event)) == (what, who, more)
