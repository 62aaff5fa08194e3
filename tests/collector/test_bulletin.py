"""The words of the mail that tells of opens and clicks."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from collector.bulletin import MOST_TOLD, tell_event, write_subject, write_text
from ledger.event import Agent, Attribution, Event, EventType

AT = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)
OPENED = Event(
    "e",
    EventType.OPENED,
    AT,
    send_id="S1",
    subject="Offer",
    recipient="b@example.org",
    attribution=Attribution.RECIPIENT,
    classification=Agent.HUMAN_LIKELY,
    confidence=0.9,
)
SHARED = replace(
    OPENED, recipient=None, attribution=Attribution.SHARED, candidates=("b@x.org", "c@x.org")
)
CLICKED = replace(OPENED, type=EventType.CLICKED, url="https://x.example/", confidence=0.5)


def test_who_did_what_when_and_how_sure_that_is() -> None:
    assert tell_event(OPENED, "Europe/Stockholm") == (
        "b@example.org opened “Offer” at 13:05 on 23 November (Europe/Stockholm): "
        "very likely a person."
    )
    assert tell_event(SHARED, "UTC").startswith("Someone of b@x.org, c@x.org opened “Offer”")
    assert tell_event(CLICKED, "UTC") == (
        "b@example.org followed a link in “Offer” at 12:05 on 23 November (UTC): "
        "perhaps a person.\nThe link: https://x.example/"
    )
    proxied = replace(OPENED, classification=Agent.PROXY, subject=None)
    assert tell_event(proxied, "UTC").endswith("very likely a person, through an image proxy.")
    assert "a mail without subject" in tell_event(proxied, "UTC")


@given(st.lists(st.sampled_from([OPENED, SHARED, CLICKED]), min_size=1), st.text(max_size=200))
def test_a_subject_names_nobody(found: list[Event], subject: str) -> None:
    """Law: its subject names nobody, and nothing of the mail it is about: servers log subjects, and
    the record of what was sent keeps them.
    """
    anonymous = [
        replace(one, subject=None, recipient=None, candidates=(), url=None) for one in found
    ]
    told = [replace(one, subject=subject) for one in found]
    assert write_subject(told) == write_subject(anonymous)


@given(st.text(max_size=300))
def test_no_text_from_outside_begins_a_line(text: str) -> None:
    told = write_text([replace(CLICKED, subject=text, link_text=text)], "https://c.example", "UTC")
    assert len(told.splitlines()) == len(
        write_text([CLICKED], "https://c.example", "UTC").splitlines()
    )


def test_more_than_anybody_reads_is_counted() -> None:
    text = write_text([OPENED] * (MOST_TOLD + 3), "https://c.example", "UTC")
    assert text.count("opened") == MOST_TOLD
    assert "And 3 more: https://c.example/\n" in text
