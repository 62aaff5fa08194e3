import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from relay.mail import Client, Envelope, Submission
from relay.trace import received_field

_AT = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def _submission(
    ip: str = "192.0.2.1",
    helo: str = "pc.example.org",
    *,
    tls: bool = False,
    account: str | None = None,
    smtputf8: bool = False,
) -> Submission:
    envelope = Envelope(None, (parse_address("b@example.org"),), smtputf8=smtputf8)
    client = Client(ip, helo, tls=tls)
    return Submission("01ARZ3NDEKTSV4RRFFQ69G5FAV", envelope, b"\r\n", _AT, client, account)


def test_the_field_says_from_whom_by_whom_and_when_and_not_for_whom() -> None:
    field = received_field(_submission(tls=True, account="a"), "relay.example.com")
    assert field == (
        b"Received: from pc.example.org ([192.0.2.1])\r\n"
        b"\tby relay.example.com with ESMTPSA id 01ARZ3NDEKTSV4RRFFQ69G5FAV;\r\n"
        b"\tMon, 23 Nov 2026 12:00:00 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("tls", "account", "smtputf8", "protocol"),
    [
        (False, None, False, "ESMTP"),
        (True, None, False, "ESMTPS"),
        (False, "a", False, "ESMTPA"),
        (True, "a", False, "ESMTPSA"),
        (True, "a", True, "UTF8SMTPSA"),
        (False, None, True, "UTF8SMTP"),
    ],
)
def test_the_protocol_tells_of_tls_auth_and_smtputf8(
    tls: bool, account: str | None, smtputf8: bool, protocol: str
) -> None:
    submission = _submission(tls=tls, account=account, smtputf8=smtputf8)
    assert f" with {protocol} id ".encode() in received_field(submission, "relay.example.com")


@pytest.mark.parametrize(
    ("ip", "helo", "shown"),
    [
        ("2001:db8::1", "[IPv6:2001:db8::1]", b"[IPv6:2001:db8::1] ([IPv6:2001:db8::1])"),
        ("fe80::1%eth0", "x", b"x ([IPv6:fe80::1])"),
        ("", "", b"unknown (unknown)"),
        ("192.0.2.1", "two words", b"[192.0.2.1] ([192.0.2.1])"),
        ("192.0.2.1", "a\r\nBcc: x", b"[192.0.2.1] ([192.0.2.1])"),
        ("192.0.2.1", "münchen.example", b"[192.0.2.1] ([192.0.2.1])"),
        ("192.0.2.1", "x" * 256, b"[192.0.2.1] ([192.0.2.1])"),
    ],
)
def test_what_a_client_says_is_shown_only_where_it_is_a_name(
    ip: str, helo: str, shown: bytes
) -> None:
    assert received_field(_submission(ip, helo), "r.example").startswith(
        b"Received: from " + shown + b"\r\n"
    )


def test_a_host_name_is_shown_in_ascii() -> None:
    assert b"by xn--4ca.example with" in received_field(_submission(), "ä.example")


@given(st.text(), st.text(), st.text())
def test_law_whatever_the_client_said_it_is_one_field_of_printable_lines(
    ip: str, helo: str, hostname: str
) -> None:
    field = received_field(_submission(ip, helo), hostname)
    assert re.fullmatch(rb"Received:[ -~]*\r\n(?:\t[ -~]+\r\n)+", field)
    message = message_from_bytes(field + b"\r\nbody")
    assert message.keys() == ["Received"]
    assert parsedate_to_datetime(message["Received"].rpartition(";")[2]) == _AT
    assert max(map(len, field.split(b"\r\n"))) <= 998
