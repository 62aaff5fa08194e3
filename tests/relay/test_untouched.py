"""What goes out when a stage of the way in has failed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.fact import pack_verdict, unpack_verdict
from ledger.mode import TrackingMode
from relay.mail import Client, Envelope, RecipientType, Submission
from relay.outgoing import make_outgoing
from relay.policy import Policy
from relay.promise import Stored
from relay.untouched import count_received, leave_untouched, untouched_copy
from relay.verdict import PassReason, PassThrough

POLICY = Policy("relay.test", "https://t.example")
WHY = PassThrough(PassReason.OUR_FAULT, "RuntimeError")
RECEIVED = (
    b"Received: by relay.test with ESMTP id 01J00000000000000000000001;\r\n"
    b"\tTue, 24 Nov 2026 08:00:00 +0000\r\n"
)


def untouched(raw: bytes, policy: Policy = POLICY, sender: str = "ann@x.example") -> Stored:
    who = tuple(map(parse_address, ("bob@y.example", "eve@z.example")))
    submission = Submission(
        "01J00000000000000000000001",
        Envelope(parse_address(sender) if sender else None, who),
        raw,
        datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
        Client("127.0.0.1", "x"),
        "ann",
    )
    copy = untouched_copy(submission, 7, 4711)
    return leave_untouched(submission, policy, copy, _names(), WHY)


def _names() -> Iterator[str]:
    return (f"event {number}" for number in count(1))


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (
            b"A: 1\r\nBcc: x\r\n y\r\nB: 2\r\n\r\nBcc: body\r\n",
            b"A: 1\r\nB: 2\r\n\r\nBcc: body\r\n",
        ),
        (b"Resent-BCC : x\r\nX-Indicia-Track: off\r\nX-PM-Tag: a\r\n", b"X-PM-Tag: a\r\n"),
        (b"From x Tue\r\nBcc: x\r\nA: 1\r\n\r\n", b"From x Tue\r\nA: 1\r\n\r\n"),
        (b"A: 1\r\n\r\n.\r\n..\r\nx.\r\n", b"A: 1\r\n\r\n..\r\n...\r\nx.\r\n"),
        (b"no field\r\nBcc: x\r\n", b"\r\nno field\r\nBcc: x\r\n"),
        (b".\r\n", b"\r\n..\r\n"),
        (b"\r\nBcc: x\r\n", b"\r\nBcc: x\r\n"),
        (b"", b"\r\n"),
        (b"A: 1\r\nBcc: x\r\n\r\n\xff\r\n", b"A: 1\r\n\r\n\xff\r\n"),
    ],
)
def test_it_goes_out_as_it_came_but_for_what_never_travels(raw: bytes, sent: bytes) -> None:
    assert untouched(raw).template.original == RECEIVED + sent


@given(
    st.lists(
        st.sampled_from(
            (b"A: 1", b"Bcc: x", b"bcc :", b" y", b"", b".", b"junk", b"From x", b"\xff", b"x.y")
        ),
        max_size=8,
    )
)
def test_law_what_goes_on_the_wire_is_received_and_the_message_without_the_dropped_fields(
    lines: list[bytes],
) -> None:
    raw = b"".join(line + b"\r\n" for line in lines)
    header, kept = _kept(lines)
    separated = kept if header or kept[:1] == [b""] else [b"", *kept]
    text = RECEIVED + b"".join(line + b"\r\n" for line in separated)
    assert untouched(raw).template.original == make_outgoing(text, 0, b"", ()).wire[2:]


def _kept(lines: list[bytes]) -> tuple[bool, list[bytes]]:
    """Read line by line: whether there is a header, and the lines without Bcc."""
    header = bool(lines) and (b":" in lines[0] or lines[0].startswith(b"From "))
    kept, within, dropping = [], header, False
    for line in lines:
        within = within and line != b""
        if not line.startswith(b" "):
            dropping = line.lower().startswith(b"bcc")
        if not (within and dropping):
            kept.append(line)
    return header, kept


def test_all_share_one_copy_that_is_the_original() -> None:
    stored = untouched(b"A: 1\r\n\r\n")
    (copy,) = stored.copies
    assert (copy.copy_id, copy.key_id, copy.mode, copy.layout) == (4711, 7, TrackingMode.OFF, None)
    assert [str(one.address) for one in copy.recipients] == ["bob@y.example", "eve@z.example"]
    assert {one.recipient_type for one in copy.recipients} == {RecipientType.BCC}
    assert (stored.template.passed, stored.template.layouts) == (WHY, ())


def test_the_ledger_is_told_of_it_like_of_any_other() -> None:
    fact = untouched(b"Message-ID:\r\n <m@x>\r\nSubject: s\r\n\r\nMessage-ID: <n>\r\n").fact
    assert (fact.message_id, fact.sender, fact.account) == ("m@x", "ann@x.example", "ann")
    assert [one["recipient"] for one in fact.verdict] == ["bob@y.example", "eve@z.example"]
    assert {(one["mode"], one["opens"], one["clicks"]) for one in fact.verdict} == {
        ("off", False, "none")
    }
    assert unpack_verdict(pack_verdict(fact.verdict)) == fact.verdict
    assert [one.event_id for one in fact.copies[0].recipients] == ["event 1", "event 2"]


def test_a_null_sender_and_a_message_without_an_id_are_told_as_such() -> None:
    fact = untouched(b"A: 1\r\n\r\n", sender="").fact
    assert (fact.message_id, fact.sender) == (None, None)


def test_a_hostname_that_is_not_ascii_makes_the_header_no_less_ascii() -> None:
    wire = untouched(b"A: 1\r\n", Policy("rel\xe4y.test", "https://t.example")).template.original
    assert wire.startswith(b"Received: by rel?y.test ")


def test_received_fields_of_the_header_are_counted() -> None:
    assert count_received(b"Received: a\r\n b\r\nRECEIVED : c\r\n\r\nReceived: d\r\n") == 2
    assert count_received(b"no field\r\nReceived: a\r\n") == 0
