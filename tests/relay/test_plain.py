"""Links in text/plain, the whole way from a submission to a copy."""

import base64
import quopri
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import HitKind, TokenKey, read_token
from relay.compile import compile_template
from relay.explain import Explained, explain_send
from relay.mail import Client, Envelope, RecipientType, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy
from relay.split import split_copies
from relay.stamp import stamp_copy
from relay.template import Template
from relay.verdict import Accept, Clicks, PassReason, RecipientVerdict, Treatment

_POLICY = Policy("relay.example", "https://t.example", text_clicks=True)
_KEY = TokenKey(7, b"s" * 32)
_OURS = re.compile(r"https://t\.example/c/([\w-]{36})/")
_OLD_TOKEN = bytes((7,)) + bytes(8) + (1 << 4 | 1).to_bytes(2, "big") + b"x" * 16
_STALE = f"https://t.example/c/{base64.urlsafe_b64encode(_OLD_TOKEN).decode()}/"
"""A link of ours from an earlier mail, to where is https."""


def _treatment(clicks: Clicks = Clicks.BOTH, *, opens: bool = True) -> Treatment:
    return Treatment(TrackingMode.INDIVIDUAL, opens, clicks)


def _plain(text: str, more: str = "", encoding: str = "8bit", charset: str = "utf-8") -> bytes:
    body = text.replace("\n", "\r\n").encode(charset)
    if encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = (
        f"Content-Type: text/plain; charset={charset}{more}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode() + body


def _html(html: str) -> bytes:
    return b"Content-Type: text/html\r\n\r\n" + html.encode()


def _mail(*parts: bytes, kind: str = "alternative") -> bytes:
    head = b"From: a@a.example\r\nTo: b@b.example\r\nMIME-Version: 1.0\r\n"
    if len(parts) == 1:
        return head + parts[0] + b"\r\n"
    body = b"".join(b"--=_b\r\n" + part + b"\r\n" for part in parts)
    kind_of = f'Content-Type: multipart/{kind}; boundary="=_b"\r\n\r\n'
    return head + kind_of.encode() + body + b"--=_b--\r\n"


class _Send:
    """A mail to one recipient for each treatment."""

    def __init__(self, raw: bytes, *treatments: Treatment, policy: Policy = _POLICY) -> None:
        treatments = treatments or (_treatment(),)
        recipients = [parse_address(f"r{number}@b.example") for number, _ in enumerate(treatments)]
        submission = Submission(
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            Envelope(parse_address("a@a.example"), tuple(recipients)),
            raw,
            datetime(2026, 11, 23, 12, tzinfo=UTC),
            Client("192.0.2.1", "pc.example"),
        )
        self.accept = Accept(
            tuple(
                RecipientVerdict(recipient, RecipientType.TO, treatment, ())
                for recipient, treatment in zip(recipients, treatments, strict=True)
            )
        )
        self.template: Template = compile_template(
            submission, parse_entity(raw), self.accept, policy
        )
        self.copies = split_copies("s", self.accept, self.template, 7, count(1))

    @property
    def reason(self) -> PassReason | None:
        return self.template.passed.reason if self.template.passed else None

    @property
    def left(self) -> list[tuple[str, str]]:
        return [(left.url, str(left.reason.reason)) for left in self.template.left]

    def message(self, number: int = 0) -> bytes:
        wire = stamp_copy(self.template, self.copies[number], _KEY)
        return re.sub(rb"(?m)^\.", b"", wire)

    def text(self, number: int = 0, media_type: str = "text/plain") -> str:
        for part in message_from_bytes(self.message(number)).walk():
            if part.get_content_type() == media_type:
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                return payload.decode(part.get_content_charset() or "ascii").replace("\r\n", "\n")
        raise AssertionError

    def explained(self) -> tuple[Explained, ...]:
        return explain_send(self.accept, self.template, self.copies)


def _shown(text: str) -> str:
    """The text with tokens as `*`."""
    return _OURS.sub("https://t.example/c/*/", text).rstrip("\n")


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
def test_a_url_in_plain_text_is_tracked_and_nothing_else_is_touched(encoding: str) -> None:
    send = _Send(
        _mail(_plain("Hi\n.\nsee https://x.example/a?b=1#c, Bob.\n-- \nA\n", "", encoding))
    )
    text = send.text()
    assert _shown(text) == "Hi\n.\nsee https://t.example/c/*/x.example/a?b=1#c, Bob.\n-- \nA"
    (token,) = _OURS.findall(text)
    read = read_token({7: _KEY}, HitKind.CLICK, token.encode(), b"x.example/a?b=1")
    assert read is not None
    assert (read.slot, read.https, read.html) == (1, True, False)
    assert send.reason is None


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
def test_umlauts_around_it_stay(encoding: str, charset: str) -> None:
    text = (
        "Grüße, für Sie: https://x.example/ ä\nhttps://x.example/größe\n<https://x.example/größe>"
    )
    assert _shown(_Send(_mail(_plain(text, "", encoding, charset))).text()) == (
        "Grüße, für Sie: https://t.example/c/*/x.example/ ä\nhttps://x.example/größe\n"
        "<https://t.example/c/*/x.example/gr%C3%B6%C3%9Fe>"
    )


def test_by_default_plain_text_is_left_alone() -> None:
    raw = _mail(_plain("https://x.example/"), _html('<a href="https://x.example/">x</a>'))
    send = _Send(raw, policy=replace(_POLICY, text_clicks=False))
    assert send.text().rstrip() == "https://x.example/"
    assert [note.reason and note.reason.reason for note in send.template.parts] == [
        PassReason.PLAIN_TEXT, None,
    ]  # fmt: skip
    assert (
        _Send(
            _mail(_plain("https://x.example/")), policy=replace(_POLICY, text_clicks=False)
        ).reason
        is PassReason.NO_HTML
    )


def test_mail_without_html_has_tracked_links_and_no_pixel() -> None:
    send = _Send(_mail(_plain("https://x.example/")))
    (explained,) = send.explained()
    assert (explained["opens"], explained["clicks"]) == (False, "html+text")
    reason = {"of": "opens", "is": False, "because": "content", "name": "no_html"}
    assert reason in explained["reasons"]  # type: ignore[operator] # a list of objects
    assert _Send(_mail(_plain("no link"))).reason is PassReason.NOTHING_TO_TRACK
    assert _Send(_mail(_plain("https://x.example/", "; charset=x"))).reason is PassReason.NO_HTML


def test_the_same_url_in_text_and_html_is_one_link() -> None:
    raw = _mail(
        _plain("https://x.example\nhttps://y.example/\nhttps://x.example/#f\nhttps://x.example/"),
        _html('<a href="https://x.example/">one</a> <a href="https://x.example/">two</a>'),
    )
    send = _Send(raw)
    links = [(link.number, link.part, link.text) for link in send.template.links]
    assert links == [
        (1, "1.2", "one"), (2, "1.2", "two"),
        (1, "1.1", "https://x.example"), (3, "1.1", "https://y.example/"),
        (4, "1.1", "https://x.example/#f"), (2, "1.1", "https://x.example/"),
    ]  # fmt: skip
    tokens = _OURS.findall(send.text()), _OURS.findall(send.text(media_type="text/html"))
    for at, (tokens_of, slots) in enumerate(zip(tokens, ([1, 3, 4, 2], [1, 2]), strict=True)):
        destinations = (b"x.example/", b"y.example/", b"x.example/", b"x.example/")
        read = [
            read_token({7: _KEY}, HitKind.CLICK, token.encode(), destination)
            for token, destination in zip(
                tokens_of, destinations if not at else (b"x.example/",) * 2, strict=True
            )
        ]
        assert [token and (token.slot, token.html) for token in read] == [
            (slot, at == 1) for slot in slots
        ]


def test_a_url_that_is_more_often_in_the_text_is_the_last_of_the_html() -> None:
    raw = _mail(_plain("https://x.example/ " * 3), _html('<a href="https://x.example/">x</a>'))
    assert [link.number for link in _Send(raw).template.links] == [1, 1, 1, 1]


def test_each_treatment_has_its_links_and_all_the_same_numbers() -> None:
    raw = _mail(_plain("https://x.example/"), _html('<a href="https://x.example/">x</a>'))
    clicks = (Clicks.BOTH, Clicks.HTML, Clicks.TEXT, Clicks.NONE)
    send = _Send(raw, *(_treatment(each) for each in clicks))
    tracked = [
        (bool(_OURS.search(send.text(number))), bool(_OURS.search(send.text(number, "text/html"))))
        for number in range(4)
    ]
    assert tracked == [(True, True), (False, True), (True, False), (False, False)]
    for (text, html), explained in zip(tracked, send.explained(), strict=True):
        links = explained["links"]
        assert [(link["link_id"], link["part"], link["tracked"]) for link in links] == [  # type: ignore[attr-defined] # a list of objects
            ("1", "1.2", html), ("1", "1.1", text),
        ]  # fmt: skip
        parts = {part["part"]: part["reason"] for part in explained["parts"]}  # type: ignore[attr-defined] # the same
        assert parts == {"1.1": None if text else "clicks_off", "1.2": None}


def test_text_links_are_listed_where_no_treatment_tracks_them() -> None:
    raw = _mail(_plain("https://x.example/"), _html("<p>x"))
    send = _Send(raw, _treatment(Clicks.HTML))
    assert send.left == [("https://x.example/", "clicks_off")]
    assert send.template.links == ()
    assert send.template.parts[0].reason is not None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("> https://x.example/", [("https://x.example/", "quoted_history")]),
        ("https+notrack://x.example/", [("https+notrack://x.example/", "opted_out")]),
        ('https://x.example/[[data-msys-clicktrack="0"]]', [("https://x.example/", "opted_out")]),
        ("https://t.example/", [("https://t.example/", "own_base")]),
        ("https://x.example/?token=1", [("https://x.example/?token=1", "signed_url")]),
        ("https://x.example/{{id}}", [("https://x.example/{{id}}", "placeholder")]),
        ("https://x.example/it's", [("https://x.example/it's", "ambiguous_text")]),
        ("https://x.example/" + "a" * 2000, [("https://x.example/" + "a" * 1982, "url_too_long")]),
        ("https://[x]/", [("https://[x]/", "url_not_canonical")]),
        # Programs take the brackets of an address for its own after the scheme only.
        ("https://[::1]/", [("https://[::1]/", "ambiguous_text")]),
    ],
)
def test_what_is_left_alone_says_why(text: str, left: list[tuple[str, str]]) -> None:
    send = _Send(_mail(_plain(f"{text}\nhttps://y.example/")))
    assert send.left == left
    assert _shown(send.text()) == f"{text}\nhttps://t.example/c/*/y.example/"


def test_the_text_of_a_link_that_is_its_url_matters_in_html_only() -> None:
    raw = _mail(
        _plain("https://x.example/"), _html('<a href="https://x.example/">https://x.example/</a>')
    )
    send = _Send(raw)
    assert send.left == [("https://x.example/", "text_is_url")]
    assert [(link.number, link.part) for link in send.template.links] == [(1, "1.1")]


def test_a_url_over_several_lines_comes_out_on_one() -> None:
    assert _shown(_Send(_mail(_plain("(<https://x.example/a\nb/>)"))).text()) == (
        "(<https://t.example/c/*/x.example/ab/>)"
    )


def test_flowed_lines_stay_flowed() -> None:
    text = "See \nhttps://x.example/ \nand \nmore \n"
    send = _Send(_mail(_plain(text, "; format=flowed")))
    assert _shown(send.text()) == "See \nhttps://t.example/c/*/x.example/ \nand \nmore "
    send = _Send(_mail(_plain(text, "; format=flowed; delsp=yes")))
    assert send.left == [("https://x.example/", "ambiguous_text")]


def test_stale_links_of_ours_are_unwrapped_and_tracked_anew_outside_quotes() -> None:
    text = (
        f"{_STALE}x.example/\n> {_STALE}{_STALE[8:]}x.example/ö\n<{_STALE}x.example/\na>\n"
        f"> <{_STALE}x.example/é>\n{_STALE}x.example/b*\n"
    )
    unwrapped = (
        "https://x.example/\n> https://x.example/ö\n<https://x.example/a>\n"
        "> <https://x.example/é>\nhttps://x.example/b*"
    )
    send = _Send(_mail(_plain(text), _html("<p>x")), _treatment(Clicks.NONE), _treatment())
    assert _shown(send.text(0)) == unwrapped
    tracked = unwrapped.replace("https://x.example/\n", "https://t.example/c/*/x.example/\n")
    assert _shown(send.text(1)) == tracked.replace(
        "<https://x.example/a>", "<https://t.example/c/*/x.example/a>"
    )


def test_a_stale_link_that_can_not_be_written_without_its_line_ends_stays() -> None:
    text = f"<{_STALE}x.example/\nö>\nhttps://y.example/"
    send = _Send(_mail(_plain(text)))
    assert send.text().startswith(f"<{_STALE}x.example/\nö>")
    assert send.left == [(f"{_STALE}x.example/ö", "own_base")]


def test_without_the_option_stale_links_in_text_stay() -> None:
    raw = _mail(_plain(f"{_STALE}x.example/"), _html("<p>x"))
    assert _STALE in _Send(raw, policy=replace(_POLICY, text_clicks=False)).text()


@pytest.mark.parametrize(
    "head",
    [
        "Content-Disposition: attachment\r\n",
        "Content-Disposition: inline; filename=a.txt\r\n",
        "Content-Type: text/plain; name=a.txt\r\n",
    ],
)
def test_attached_text_is_never_touched(head: str) -> None:
    attached = head.encode() + b"\r\nhttps://x.example/"
    send = _Send(_mail(_html("<p>x"), attached, kind="mixed"))
    assert send.text().rstrip() == "https://x.example/"
    assert send.left == []
    note = send.template.parts[1]
    assert note.reason is not None
    assert note.reason.reason is PassReason.ATTACHMENT


@pytest.mark.parametrize("kind", ["related", "signed"])
def test_text_that_is_no_part_of_what_is_read_is_never_touched(kind: str) -> None:
    send = _Send(_mail(_html("<p>x"), _plain("https://x.example/"), kind=kind))
    assert "https://x.example/" in send.template.original.decode()
    assert all(link.part != "1.2" for link in send.template.links)


def test_a_line_does_not_grow_over_998() -> None:
    line = "a" * 950 + " https://x.example/ and"
    send = _Send(_mail(_plain(f"{line}\nhttps://y.example/")))
    assert _shown(send.text()) == f"{line}\nhttps://t.example/c/*/y.example/"
    assert send.left == [("https://x.example/", "line_too_long")]
    for encoding in ("quoted-printable", "base64"):
        message = _Send(_mail(_plain(line, "", encoding))).message()
        assert max(map(len, message.split(b"\r\n"))) <= 78
        assert b"x.example" not in message or encoding == "quoted-printable"


def test_a_part_in_which_no_line_can_be_broken_is_left_alone() -> None:
    body = "https://x.example=\n/" + "." * 74
    send = _Send(_mail(_plain(body).replace(b"8bit", b"quoted-printable"), _html("<p>x")))
    assert send.text().rstrip() == body.replace("=\n", "")
    assert send.template.parts[0].reason is not None
    assert send.template.parts[0].reason.reason is PassReason.LINE_TOO_LONG


def test_text_in_an_unknown_charset_is_left_alone() -> None:
    send = _Send(_mail(_plain("https://x.example/", "").replace(b"utf-8", b"utf-7"), _html("<p>x")))
    assert send.text().rstrip() == "https://x.example/"
    assert send.template.parts[0].reason is not None
    assert send.template.parts[0].reason.reason is PassReason.UNKNOWN_CHARSET


def test_more_links_than_tokens_can_number_pass() -> None:
    fits = _Send(_mail(_plain("https://x.example/\n" * 4095)))
    assert fits.template.links[-1].number == 4095
    assert _Send(_mail(_plain("https://x.example/\n" * 4096))).reason is PassReason.TOO_MANY_LINKS


_WORDS = st.sampled_from(
    ["https://x.example/a", "http://y.example", "https://x.example/A_(b)", "<https://x.example/ä>",
     "see", "(https://x.example/?a=b&c)", "größe", "\n", "\n> ", " \n", "-- \n", "日本", ".", "*",
     f"{_STALE}x.example/a", "<https://x.example/\na>", "https://x.example/a#b'", "=20", "a" * 70],
)  # fmt: skip


@settings(deadline=None)  # a loaded machine
@given(
    st.lists(_WORDS, max_size=12).map(" ".join),
    st.sampled_from(["8bit", "quoted-printable", "base64"]),
    st.sampled_from(["", "; format=flowed", "; format=flowed; delsp=yes"]),
)
def test_law_with_every_slot_given_back_the_text_is_the_original(
    text: str, encoding: str, more: str
) -> None:
    """Law: with every slot given back what stood there, each layout is the original."""
    raw = _mail(_plain(text, more, encoding), _html('<a href="https://x.example/a">x</a>'))
    send = _Send(raw, _treatment(), _treatment(Clicks.NONE, opens=False))
    assert send.reason is None
    expected = message_from_bytes(raw).get_payload(0).get_payload(decode=True)  # type: ignore[union-attr] # a multipart
    before = expected.decode().replace("\r\n", "\n")  # type: ignore[union-attr] # bytes
    given_back = _OURS.sub(_scheme_of, send.text())
    for wrapped, plain in ((_STALE, "https://"), ("/\na>", "/a>"), ("%C3%A4", "ä"), ("%27", "'")):
        before, given_back = before.replace(wrapped, plain), given_back.replace(wrapped, plain)
    assert given_back == before


def _scheme_of(match: re.Match[str]) -> str:
    return f"http{'s' if base64.urlsafe_b64decode(match[1])[10] & 1 else ''}://"
