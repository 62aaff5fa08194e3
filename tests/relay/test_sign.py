"""Signed copies, verified by dkimpy, which has no line in common with what signs them."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.judge import judge
from relay.mail import Client, Copy, Envelope, Signing, Submission
from relay.mime.entity import parse_entity
from relay.mime.header import read_header
from relay.outgoing import double_dots, single_dots
from relay.policy import Policy
from relay.sign import Seal, make_signable, sign_copy, signing_for
from relay.split import split_copies
from relay.stamp import stamp_copy
from relay.template import Template
from relay.verdict import Accept, PassReason

_PRIVATE: RSAPrivateKey = generate_private_key(65537, 2048)
_RECORD = b"v=DKIM1; k=rsa; p=" + base64.b64encode(
    _PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
_SIGNING = Signing("a.example", "s1")
_AT = datetime(2026, 11, 24, 9, 30, 5, 700, tzinfo=UTC)
_KEY = TokenKey(7, b"s" * 32)
_POLICY = Policy(
    "relay.example", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL,
    signings=(_SIGNING, Signing("a.example", "s0"), Signing("c.example", "s1")),
)  # fmt: skip


def _make(text: bytes) -> bytes:
    return _PRIVATE.sign(text, PKCS1v15(), SHA256())


_SEAL = Seal(_SIGNING, _AT, _make)


def _verifies(message: bytes, index: int = 0) -> bool:
    asked: list[bytes] = []

    def look_up(name: bytes, **_: object) -> bytes:
        asked.append(name)
        return _RECORD

    try:
        verified: bool = dkim.DKIM(message).verify(index, dnsfunc=look_up)
    except dkim.ValidationError:
        return False
    return verified and asked == [b"s1._domainkey.a.example."]


def _signed(message: bytes, blanks: tuple[bytes, ...] = ()) -> bytes:
    """The message signed; a `\\0` in it is where a blank stands."""
    wire = double_dots(message, line_start=True).split(b"\0")
    pieces = [piece for constant in wire for piece in (constant, b"")][:-1]
    field = sign_copy(make_signable(pieces), blanks, _SEAL)
    pieces[1::2] = blanks
    return field + single_dots(b"".join(pieces))


@pytest.mark.parametrize(
    "message",
    [
        b"From: a@a.example\r\n\r\nbody\r\n",
        b"From: a@a.example\r\n\r\n",
        b"From: a@a.example\r\n\r\n\r\n\r\n",
        b"From: a@a.example\r\n\r\n \r\n\t\r\n",
        b"From: a@a.example\r\n\r\n  a \t b \t\r\n\r\n. c\r\n\r\n \r\n",
        b"From:  A \r\n\t<a@a.example> \r\nTO: b\r\nSubject:\r\n x\ty  z\r\n\r\n.\r\n..\r\nx\r\n",
        b"To: a\r\nTo: b\r\nFrom: a@a.example\r\nReferences: <1@x>\r\n\t<2@x>\r\n\r\nx\r\n",
        "From: Größe <a@a.example>\r\nSubject: größer\r\n\r\ngrößer\r\n".encode(),
        b"From: a@a.example\r\nList-Unsubscribe: <x>\r\nDate: now\r\nX-Other: 1\r\n\r\nx\r\n",
        b"From: a@a.example\r\n" + b"Cc: x@x.example\r\n" * 40 + b"\r\nx\r\n",
    ],
)
def test_what_is_signed_verifies(message: bytes) -> None:
    signed = _signed(message)
    assert signed.endswith(message)
    assert _verifies(signed)
    assert all(len(line) <= 78 for line in signed[: -len(message)].split(b"\r\n"))


def test_a_copy_is_signed_with_what_stands_in_its_blanks() -> None:
    message = b"From: a@a.example\r\n\r\nx \0 y \r\n\0\r\n\r\n"
    signed = _signed(message, (b"one", b"two"))
    assert signed.endswith(b"\r\n\r\nx one y \r\ntwo\r\n\r\n")
    assert _verifies(signed)
    assert not _verifies(signed.replace(b"two", b"three"))


def test_a_field_that_is_added_or_changed_breaks_the_signature() -> None:
    signed = _signed(b"From: a@a.example\r\nTo: b\r\nDate: now\r\n\r\nx\r\n")
    for name in ("From", "To", "Cc", "Subject", "Reply-To", "In-Reply-To", "References"):
        assert not _verifies(f"{name}: c@c.example\r\n".encode() + signed), name
    assert not _verifies(signed.replace(b"Date: now", b"Date: then"))


def test_what_programs_on_the_way_add_breaks_nothing() -> None:
    signed = _signed(b"From: a@a.example\r\n\r\nx\r\n")
    for name in ("Received", "Message-ID", "Date", "Sender", "MIME-Version", "Return-Path"):
        assert _verifies(f"{name}: x\r\n".encode() + signed), name


def test_the_tags_say_who_signs_and_when_the_mail_was_accepted() -> None:
    head = _signed(b"From: a@a.example\r\nDate: now\r\n\r\nx\r\n").replace(b"\r\n\t", b" ")
    tags = dict(
        tag.strip().split(b"=", 1) for tag in head.split(b"\r\n")[0].partition(b":")[2].split(b";")
    )
    assert tags[b"v"] == b"1"
    assert tags[b"a"] == b"rsa-sha256"
    assert tags[b"c"] == b"relaxed/relaxed"
    assert (tags[b"d"], tags[b"s"], tags[b"t"]) == (b"a.example", b"s1", b"1795512605")
    names = b"from:from:reply-to:subject:to:cc:in-reply-to:references:date"
    assert tags[b"h"].replace(b" ", b"") == names


_WORDS = st.sampled_from(
    [
        b"a",
        b" ",
        b"  ",
        b"\t",
        b"\r\n",
        b"\r\n\r\n",
        b".",
        b"\r\n.",
        b"\xc3\xa4",
        b"=",
        b"\0",
        b"x y",
    ]
)
_NAMES = st.sampled_from([b"To", b"Cc", b"subject", b"X-A", b"DATE", b"List-Id", b"Received"])
_VALUES = st.lists(
    st.sampled_from([b"a", b" ", b"\t", b"\r\n ", b"\r\n\t", b":", b"\xc3\xa4", b"b"]), max_size=6
).map(b"".join)


@settings(deadline=None)  # a loaded machine
@given(
    st.lists(st.tuples(_NAMES, _VALUES), max_size=6),
    st.lists(_WORDS, max_size=20).map(b"".join),
    st.lists(st.sampled_from([b"tok", b"-x", b"a" * 36]), min_size=20, max_size=20),
)
def test_law_every_signed_copy_verifies_and_the_same_words_give_the_same_bytes(
    fields: list[tuple[bytes, bytes]], body: bytes, blanks: list[bytes]
) -> None:
    """Law: the same words give the same bytes."""
    head = b"".join(name + b": x" + value + b"y\r\n" for name, value in fields)
    message = b"From: a@a.example\r\n" + head + b"\r\n" + body + b"\r\n"
    filled = tuple(blanks[: message.count(b"\0")])
    signed = _signed(message, filled)
    assert signed == _signed(message, filled)
    assert _verifies(signed)


_HTML = (
    b"Content-Type: text/html\r\n\r\n<body>\r\n.hidden\r\n"
    b'<a href="https://x.example/">x</a>  \r\n</body>\r\n\r\n'
)
_OLD = b"DKIM-Signature: v=1; d=a.example;\r\n\tb=YWJj\r\n"


def _mail(head: bytes = b"From: A <a@a.example>\r\n", more: bytes = _OLD) -> bytes:
    return more + head + b"To: r@b.example\r\nBcc: c@b.example\r\nMIME-Version: 1.0\r\n" + _HTML


def _accepted(
    raw: bytes, policy: Policy = _POLICY, recipients: int = 2
) -> tuple[Template, tuple[Copy, ...]]:
    to = tuple(parse_address(f"r{number}@b.example") for number in range(recipients))
    submission = Submission(
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        Envelope(parse_address("a@a.example"), to),
        raw,
        _AT,
        Client("192.0.2.1", "pc.example"),
    )
    entity = parse_entity(raw)
    verdict = judge(submission, entity, policy)
    assert isinstance(verdict, Accept)
    template = compile_template(submission, entity, verdict, policy)
    return template, split_copies("s", verdict, template, 7, count(1))


@pytest.mark.parametrize(
    "head",
    [
        b"From: A <a@a.example>\r\n",
        b"From: a@A.EXAMPLE\r\n",
        b'From: "x@c.example" <a@a.example>\r\n',
        b"From: =?utf-8?q?x=40c=2Eexample?=\r\n <a@a.example>\r\n",
    ],
)
def test_mail_of_a_domain_whose_key_we_have_is_tracked_and_signed_anew(head: bytes) -> None:
    template, copies = _accepted(_mail(head))
    assert template.signing == _SIGNING
    messages = [single_dots(stamp_copy(template, copy, _KEY, _SEAL)) for copy in copies]
    assert len(set(messages)) == len(copies) == 2
    for message in messages:
        assert _verifies(message)
        assert message.count(b"DKIM-Signature") == 1
        assert b"Bcc:" not in message  # the signature may well have the letters
        assert b"https://t.example/o/" in message
    again = [single_dots(stamp_copy(template, copy, _KEY, _SEAL)) for copy in copies]
    assert again == messages


def test_the_original_keeps_the_signatures_it_came_with() -> None:
    template, _ = _accepted(_mail(more=_OLD + b"X-Between: 1\r\n" + _OLD))
    assert template.original.count(_OLD) == 2
    layout = template.layouts[0].fill(template.original, b"A" * 36)
    assert _OLD not in layout
    assert b"X-Between: 1\r\n" in layout


@pytest.mark.parametrize(
    "head",
    [
        b"From: a@d.example\r\n",
        b"From: a@sub.a.example\r\n",
        b"From: a@a.example, c@c.example\r\n",
        b"From: a@a.example\r\nFrom: a@a.example\r\n",
        b"From: nobody\r\n",
        b"",
    ],
)
def test_mail_whose_author_has_no_key_here_is_skipped(head: bytes) -> None:
    template, copies = _accepted(_mail(head))
    assert template.passed is not None
    assert template.passed.reason is PassReason.DKIM_SIGNED
    assert template.signing is None
    assert [copy.layout for copy in copies] == [None]


def test_mail_that_came_without_a_signature_leaves_without_one() -> None:
    template, copies = _accepted(_mail(more=b""))
    assert template.signing is None
    assert b"DKIM-Signature" not in stamp_copy(template, copies[0], _KEY)


def test_what_is_not_tracked_is_not_signed_either() -> None:
    observed, _ = _accepted(_mail(), replace(_POLICY, observe=True))
    assert (observed.layouts, observed.signing) == ((), None)
    off, _ = _accepted(_mail(), replace(_POLICY, mode=TrackingMode.OFF))
    assert (off.layouts, off.signing) == ((), None)


def test_another_reason_to_leave_mail_alone_holds_all_the_same() -> None:
    raw = re.sub(rb"MIME-V", rb"Auto-Submitted: auto-replied\r\nMIME-V", _mail())
    template, _ = _accepted(raw)
    assert template.passed is not None
    assert template.passed.reason is PassReason.AUTOMATIC


def test_without_keys_nobody_signs() -> None:
    assert signing_for(read_header(_mail()), replace(_POLICY, signings=())) is None


def test_to_sign_what_is_not_to_be_signed_is_a_fault() -> None:
    template, copies = _accepted(_mail())
    with pytest.raises(AssertionError):
        stamp_copy(template, copies[0], _KEY)
