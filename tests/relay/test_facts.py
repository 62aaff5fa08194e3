"""What the ledger is told of a send."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address
from ledger.fact import CopyFact, LinkFact, RecipientFact, SendAccepted, fact_object, read_fact
from ledger.mode import TrackingMode
from relay.facts import MAX_MESSAGE_ID, MAX_SUBJECT, accepted_fact, message_names
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.send import Send
from relay.template import Link, Template
from relay.verdict import Accept

ANN, BOB, EVE = (Address(name, "x.example") for name in ("ann", "bob", "eve"))
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
RAW = b"Message-ID: <1@x.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"


def send(sender: Address | None = ANN) -> Send:
    link = Link(1, "1.2", "https://y.example/#a", b"y.example/", https=True, text="Offer")
    return Send(
        Submission("S", Envelope(sender, (BOB, EVE)), RAW, AT, Client("192.0.2.1", "pc"), "ann"),
        Accept((), tags=("spring",), metadata={"deal": "7"}),
        Template(b"", (), "https://t.example.com", (link,)),
        (
            Copy(7, "S", TrackingMode.SHARED, 0, 1, (Recipient(BOB, RecipientType.TO),)),
            Copy(8, "S", TrackingMode.OFF, None, 1, (Recipient(EVE, RecipientType.BCC),)),
        ),
    )


def test_a_link_that_is_in_two_parts_is_told_once() -> None:
    one = send()
    (html,) = one.template.links
    text = html._replace(part="1.1", text="https://y.example/#a")
    two = replace(one, template=replace(one.template, links=(html, text)))
    fact = accepted_fact(two, (), map(str, itertools.count()))
    assert fact.links == (LinkFact(1, "1.2", "https://y.example/#a", "Offer"),)


def test_an_accepted_send_is_told_whole() -> None:
    explained = ({"recipient": "bob@x.example"}, {"recipient": "eve@x.example"})
    fact = accepted_fact(send(), explained, (f"E{number}" for number in itertools.count()))
    assert fact == SendAccepted(
        send_id="S",
        accepted_at=AT,
        message_id="1@x.example",
        sender="ann@x.example",
        account="ann",
        client="192.0.2.1",
        subject="Grüße",
        size_bytes=len(RAW),
        base_url="https://t.example.com",
        verdict=explained,
        tags=("spring",),
        metadata={"deal": "7"},
        copies=(
            CopyFact(7, TrackingMode.SHARED, (RecipientFact("E0", "bob@x.example", "to"),)),
            CopyFact(8, TrackingMode.OFF, (RecipientFact("E1", "eve@x.example", "bcc"),)),
        ),
        links=(LinkFact(1, "1.2", "https://y.example/#a", "Offer"),),
    )
    assert read_fact(fact_object(fact)) == fact


def test_a_bounce_has_no_sender() -> None:
    assert accepted_fact(send(None), (), iter("ab")).sender is None


@pytest.mark.parametrize(
    ("field", "message_id"),
    [
        ("Message-ID: <a@x.example>", "a@x.example"),
        ("message-id:\r\n <a@x.example>", "a@x.example"),
        ("Message-ID: (first) <a@x.example> (last)", "a@x.example"),
        ("Message-ID: < a@x.example >", "a@x.example"),
        ("Message-ID: a@x.example", "a@x.example"),
        ("Message-ID: <a@x.example", "<a@x.example"),
        ("Message-ID: <a@x.example> <b@x.example>", "a@x.example"),
        ("Message-ID: <>", None),
        ("Message-ID:", None),
        ("X: y", None),
        ("Message-ID: <" + "a" * 2000 + ">", "a" * MAX_MESSAGE_ID),
    ],
)
def test_a_message_id_is_told_without_its_brackets(field: str, message_id: str | None) -> None:
    assert message_names(f"{field}\r\n\r\n".encode())[0] == message_id


@pytest.mark.parametrize(
    ("field", "subject"),
    [
        ("Subject: Hello", "Hello"),
        ("Subject: Hello\r\n  again", "Hello  again"),
        ("Subject: =?utf-8?b?w4Q=?= =?iso-8859-1?q?=D6?=", "ÄÖ"),
        ("Subject: Grüße", "Grüße"),
        ("Subject:", ""),
        ("X: y", None),
        ("Subject: " + "a" * 2000, "a" * MAX_SUBJECT),
    ],
)
def test_a_subject_is_told_as_people_read_it(field: str, subject: str | None) -> None:
    assert message_names(f"{field}\r\n\r\n".encode())[1] == subject


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_header_gives_names_that_can_be_stored(one: bytes, other: bytes) -> None:
    for name in message_names(b"Message-ID: " + one + b"\r\nSubject: " + other + b"\r\n\r\n"):
        (name or "").encode()
