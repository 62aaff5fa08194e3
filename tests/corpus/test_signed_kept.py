"""Signed mail of the corpus: no DNS is reached, so what the signatures cover is compared itself."""

import email
import email.policy
import itertools
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.judge import judge
from relay.mail import Client, Envelope, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.split import split_copies
from relay.stamp import stamp_copy
from relay.verdict import Accept

pytestmark = pytest.mark.corpus

_KEY = TokenKey(3, b"k" * 32)
_POLICY = Policy(
    "relay.example",
    "https://t.example",
    unknown_consent=TrackingMode.INDIVIDUAL,
    text_clicks=True,
)
_SIGNED = re.compile(rb"^(?:dkim-signature|domainkey-signature):", re.IGNORECASE | re.MULTILINE)
_SECURED = re.compile(
    rb"^content-type:\s*(?:multipart/(?:signed|encrypted)|application/(?:x-)?pkcs7-mime)",
    re.IGNORECASE | re.MULTILINE,
)
_LISTED = re.compile(r"(?:^|;)\s*h\s*=([^;]*)", re.IGNORECASE)


def _copies(raw: bytes) -> list[bytes]:
    people = tuple(map(parse_address, ("b@b.example", "c@c.example")))
    envelope = Envelope(parse_address("ann@a.example"), people)
    sent_at = datetime(2026, 11, 24, 8, tzinfo=UTC)
    client = Client("192.0.2.1", "pc.example")
    submission = Submission("01ARZ3NDEKTSV4RRFFQ69G5FAV", envelope, raw, sent_at, client)
    entity = parse_entity(raw)
    verdict = judge(submission, entity, _POLICY)
    if not isinstance(verdict, Accept):
        return []
    template = compile_template(submission, entity, verdict, _POLICY)
    copies = split_copies(submission.send_id, verdict, template, _KEY.key_id, itertools.count(1))
    return [re.sub(rb"(?m)^\.", b"", stamp_copy(template, copy, _KEY)) for copy in copies]


def _header(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[0] + b"\r\n"


def _fields(raw: bytes, name: str) -> list[bytes]:
    """The fields of a name with all their bytes, in order."""
    found = rb"^%s[ \t]*:.*?\r\n(?![ \t])" % re.escape(name.encode())
    return re.findall(found, _header(raw), re.IGNORECASE | re.MULTILINE | re.DOTALL)


def test_what_dkim_signatures_cover_stays_as_it_was(real_messages: list[Any]) -> None:
    looked_at = fields = 0
    for message in real_messages:
        if not _SIGNED.search(_header(message.raw)):
            continue
        for copy in _copies(message.raw):
            looked_at += 1
            assert copy.partition(b"\r\n\r\n")[2] == message.raw.partition(b"\r\n\r\n")[2]
            parsed = email.message_from_bytes(message.raw, policy=email.policy.compat32)
            signatures = parsed.get_all("dkim-signature", []) + parsed.get_all(
                "domainkey-signature", []
            )
            listed = {
                name.strip().lower()
                for signature in signatures
                for names in _LISTED.findall(str(signature))
                for name in names.split(":")
            }
            for name in listed - {"bcc", "resent-bcc", "received", ""}:
                fields += 1
                assert _fields(copy, name) == _fields(message.raw, name), (message.name, name)
            was = _fields(message.raw, "received")
            assert _fields(copy, "received")[1:] == was, message.name  # ours is on top
    assert looked_at > 100, looked_at
    assert fields > 500, fields


def test_what_is_signed_or_encrypted_stays_as_it_was(real_messages: list[Any]) -> None:
    looked_at = 0
    for message in real_messages:
        if not _SECURED.search(_header(message.raw)):
            continue
        for copy in _copies(message.raw):
            looked_at += 1
            assert copy.partition(b"\r\n\r\n")[2] == message.raw.partition(b"\r\n\r\n")[2]
    assert looked_at > 5
