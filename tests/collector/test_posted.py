"""What is posted verifies by the official package; what an answer means is a table."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from collector.posted import STEADY, end_of, make_body, make_headers, status_text
from config.webhook import decode_secret
from ledger.deliveries import Again, Dead, Delivery, End, Taken
from ledger.event import Event, EventType, event_object

NOW = datetime.now(UTC)
OPENED = Event("E1", EventType.OPENED, NOW, send_id="S1", subject="Grüße \udce4 ' \"")


def a_delivery(attempts: int = 0, first: datetime | None = None) -> Delivery:
    return Delivery(1, "msg_1", "w", "S1", OPENED, attempts, first)


@given(st.binary(min_size=24, max_size=64), st.text(max_size=50))
def test_the_official_package_verifies_what_is_signed(key: bytes, subject: str) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    body = make_body(Event("E1", EventType.OPENED, NOW, send_id="S1", subject=subject))
    headers = dict(make_headers([decode_secret(secret)], "msg_1", datetime.now(UTC), body))
    told = Webhook(secret).verify(body, headers)
    assert told == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, {**headers, "webhook-id": "msg_2"})


def test_each_of_two_secrets_verifies() -> None:
    secrets = [f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in (1, 2)]
    body = make_body(OPENED)
    now = datetime.now(UTC)
    headers = dict(make_headers(list(map(decode_secret, secrets)), "msg_1", now, body))
    for secret in secrets:
        assert Webhook(secret).verify(body, headers)


def test_the_body_holds_the_event_as_the_log_prints_it() -> None:
    told = json.loads(make_body(OPENED))
    assert told["type"] == "email.opened"
    assert told["timestamp"] == told["data"]["timestamp"]
    assert told["data"].pop("provisional") is True
    assert told["data"] == json.loads(json.dumps(event_object(OPENED)))


@pytest.mark.parametrize(
    "event",
    [
        Event("E1", EventType.RELAYED, NOW, send_id="S1"),
        Event("E1", EventType.RECLASSIFIED, NOW, send_id="S1", relabels="E0"),
        Event("E1", EventType.OPENED, NOW),
    ],
)
def test_what_is_not_labelled_anew_is_not_provisional(event: Event) -> None:
    told = json.loads(make_body(event))
    assert told["data"] == json.loads(json.dumps(event_object(event)))


ENDS: list[tuple[int | str, timedelta, End | type]] = [
    (200, timedelta(), Taken()),
    (204, timedelta(), Taken()),
    (299, timedelta(), Taken()),
    (410, timedelta(), Dead("410 Gone")),
    (301, timedelta(), Again),
    (302, timedelta(hours=23), Again),
    (404, timedelta(), Again),
    (429, timedelta(), Again),
    (500, timedelta(hours=24), Dead("500 Internal Server Error")),
    ("no answer", timedelta(hours=23, minutes=59), Again),
    ("no answer", timedelta(hours=25), Dead("no answer")),
]


@pytest.mark.parametrize(("answer", "since", "end"), ENDS)
def test_an_answer_means(answer: int | str, since: timedelta, end: End | type) -> None:
    found = end_of(a_delivery(3, NOW - since), answer, NOW, STEADY, 0.5)
    assert isinstance(found, end) if isinstance(end, type) else found == end


def test_who_was_never_tried_is_tried_again() -> None:
    assert isinstance(end_of(a_delivery(), 500, NOW, STEADY, 0.5), Again)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_law_pauses_grow_and_are_bounded(attempts: int, dice: float) -> None:
    """Law: what is tried again is due within `pace.longest_s`."""
    found = end_of(a_delivery(attempts, NOW), 500, NOW, STEADY, dice)
    assert isinstance(found, Again)
    pause_s = (found.due_at - NOW).total_seconds()
    assert min(STEADY.first_s, STEADY.longest_s) / 2 <= pause_s <= STEADY.longest_s


def test_an_unknown_status_has_no_words() -> None:
    assert status_text(599) == "599"


def test_the_example_for_receivers_verifies_what_is_posted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    there: dict[str, Any] = {}
    exec(example, there)
    verify = there["verify"]
    secrets = [f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in (1, 2, 3)]
    body, keys = make_body(OPENED), list(map(decode_secret, secrets[:2]))
    headers = dict(make_headers(keys, "msg_1", datetime.now(UTC), body))
    assert [verify(secret, headers, body) for secret in secrets] == [True, True, False]
    assert not verify(secrets[0], headers, body + b" ")
    old = dict(make_headers(keys, "msg_1", NOW - timedelta(hours=1), body))
    assert not verify(secrets[0], old, body)
