import base64
import quopri
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email import message_from_bytes

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.address import parse_address
from ledger.mode import TrackingMode
from ledger.token import HitKind, TokenKey, read_token
from relay.compile import compile_template
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.mime.entity import parse_entity
from relay.policy import Policy, TrackingHost
from relay.stamp import stamp_copy
from relay.template import Slot, SlotKind, Template
from relay.verdict import Accept, Clicks, PassReason, PassThrough, RecipientVerdict, Treatment

_POLICY = Policy("relay.example", "https://t.example", excluded_hosts=("left.example",))
_KEY = TokenKey(7, b"s" * 32)
_FULL = Treatment(TrackingMode.INDIVIDUAL, opens=True, clicks=Clicks.HTML)
_OPENS = Treatment(TrackingMode.INDIVIDUAL, opens=True, clicks=Clicks.NONE)
_CLICKS = Treatment(TrackingMode.INDIVIDUAL, opens=False, clicks=Clicks.HTML)
_OFF = Treatment(TrackingMode.OFF, opens=False, clicks=Clicks.NONE)
_TOKEN = "A" * 36


def _part(html: str, encoding: str = "8bit", charset: str = "utf-8", more: str = "") -> bytes:
    text = html.replace("\n", "\r\n").encode(charset)
    if encoding == "base64":
        text = base64.encodebytes(text).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        text = quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = (
        f"Content-Type: text/html; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        f"{more}\r\n"
    )
    return head.encode() + text


def _mail(body: bytes, header: str = "") -> bytes:
    begin = "From: a@a.example\r\nTo: b@b.example\r\n" + header + "MIME-Version: 1.0\r\n"
    whole = begin.encode() + body
    return whole if whole.endswith(b"\r\n") else whole + b"\r\n"


def _multipart(kind: str, *parts: bytes, boundary: str = "=_b") -> bytes:
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    line = f"--{boundary}".encode()
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


_PLAIN = b"Content-Type: text/plain\r\n\r\nhello"


def _compile(
    raw: bytes,
    *treatments: Treatment,
    policy: Policy = _POLICY,
    content: PassThrough | None = None,
    sender: str = "a@a.example",
) -> Template:
    recipients = tuple(
        parse_address(f"r{number}@b.example") for number, _ in enumerate(treatments or (_FULL,))
    )
    submission = Submission(
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        Envelope(parse_address(sender), recipients),
        raw,
        datetime(2026, 11, 23, 12, tzinfo=UTC),
        Client("192.0.2.1", "pc.example"),
    )
    verdicts = tuple(
        RecipientVerdict(recipient, RecipientType.TO, treatment, ())
        for recipient, treatment in zip(recipients, treatments or (_FULL,), strict=True)
    )
    return compile_template(submission, parse_entity(raw), Accept(verdicts, content), policy)


def _stamp(template: Template, copy_id: int = 1, layout: int = 0) -> bytes:
    recipient = Recipient(parse_address("r@b.example"), RecipientType.TO)
    copy = Copy(copy_id, "s", TrackingMode.INDIVIDUAL, layout, 7, (recipient,))
    return re.sub(rb"(?m)^\.", b"", stamp_copy(template, copy, _KEY))


def _html(message: bytes) -> str:
    for part in message_from_bytes(message).walk():
        if part.get_content_type() == "text/html":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode(part.get_content_charset() or "ascii")
    raise AssertionError


def _why(template: Template) -> PassReason | None:
    return template.passed.reason if template.passed else None


def _left(template: Template) -> list[tuple[str, PassReason]]:
    return [(link.url, link.reason.reason) for link in template.left]


_PIXEL = re.compile(
    r'<img src="https://t\.example/o/([\w-]{36})\.gif" width="1" height="1" alt="">'
)
_NESTED = re.compile(r"https://t\.example/c/[\w-]{36}/t\.example/")
_LINK = re.compile(r"https://t\.example/c/([\w-]{36})/")

_ENCODINGS = pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])


@_ENCODINGS
def test_one_pixel_and_each_link_are_put_in(encoding: str) -> None:
    html = '<body>\n<p>Hi <a href="https://x.example/a?b=1&amp;c=2#d">there</a></p>\n</body>'
    template = _compile(_mail(_part(html, encoding)))
    assert _why(template) is None
    seen = _html(_stamp(template)).rstrip().replace("\r\n", "\n")
    (pixel,) = _PIXEL.findall(seen)
    (token,) = _LINK.findall(seen)
    assert seen == (
        f'<body>\n<p>Hi <a href="https://t.example/c/{token}/x.example/a?b=1&amp;c=2#d">there</a></p>\n'
        f'<img src="https://t.example/o/{pixel}.gif" width="1" height="1" alt=""></body>'
    )
    opened = read_token({7: _KEY}, HitKind.OPEN, pixel.encode())
    clicked = read_token({7: _KEY}, HitKind.CLICK, token.encode(), b"x.example/a?b=1&c=2")
    assert opened is not None
    assert (opened.copy_id, opened.slot) == (1, 0)
    assert clicked is not None
    assert (clicked.slot, clicked.https, clicked.html) == (1, True, True)


def test_the_header_loses_bcc_and_our_fields_and_gains_one_received() -> None:
    header = "BCC: x@y.example\r\nX-Indicia-Track: off\r\nResent-Bcc: z\r\n w\r\nX-Other: kept\r\n"
    raw = _mail(_part("<p>x"), header)
    template = _compile(raw, _OFF)
    before, after = message_from_bytes(raw), message_from_bytes(template.original)
    kept = [name for name in before if not re.search("bcc|x-indicia", name, re.IGNORECASE)]
    assert after.keys() == ["Received", *kept]
    assert template.original.partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]
    assert b"X-Other: kept\r\n" in template.original


def test_there_is_a_layout_for_each_treatment_that_tracks_anything() -> None:
    raw = _mail(_part('<a href="https://x.example/">x</a>'))
    template = _compile(raw, _FULL, _OFF, _OPENS, _FULL, _CLICKS)
    assert [(layout.opens, layout.clicks) for layout in template.layouts] == [
        (True, Clicks.HTML),
        (True, Clicks.NONE),
        (False, Clicks.HTML),
    ]
    kinds = [
        [segment.kind for segment in layout.segments if isinstance(segment, Slot)]
        for layout in template.layouts
    ]
    assert kinds == [[SlotKind.LINK, SlotKind.PIXEL], [SlotKind.PIXEL], [SlotKind.LINK]]


def test_nobody_tracked_is_no_layout_and_no_reason() -> None:
    template = _compile(_mail(_part("<p>x")), _OFF)
    assert (template.layouts, template.passed, template.parts) == ((), None, ())


def test_with_opens_alone_links_are_left_and_it_is_said() -> None:
    template = _compile(_mail(_part('<a href="https://x.example/">x</a>')), _OPENS)
    assert template.links == ()
    assert _left(template) == [("https://x.example/", PassReason.CLICKS_OFF)]
    assert "t.example/c/" not in _html(_stamp(template))


def test_content_that_may_not_be_touched_goes_as_the_original() -> None:
    passed = PassThrough(PassReason.SIGNED, "s/mime")
    template = _compile(_mail(_part("<p>x")), content=passed)
    assert (template.layouts, template.passed) == ((), passed)
    assert [note.reason for note in template.parts] == [passed]


def test_observe_records_what_would_have_been_done_and_changes_nothing() -> None:
    raw = _mail(_part('<a href="https://x.example/">x</a>'))
    template = _compile(raw, policy=Policy("r.example", "https://t.example", observe=True))
    assert (template.layouts, _why(template)) == ((), PassReason.OBSERVE)
    assert [link.url for link in template.links] == ["https://x.example/"]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (_mail(_PLAIN), PassReason.NO_HTML),
        (b"no header at all\r\n", PassReason.NO_HTML),
        (_mail(_part("")), PassReason.NOTHING_TO_TRACK),
        (_mail(_part("<p>x", charset="utf-16")), PassReason.UNKNOWN_CHARSET),
        (_mail(_part("<p>x", "x-uuencode")), PassReason.UNKNOWN_ENCODING),
        (_mail(_part("<frameset>")), PassReason.AMBIGUOUS_HTML),
        (_mail(_multipart("mixed", _part("x" * 950))), PassReason.NO_PLACE_FOR_PIXEL),
    ],
)
def test_a_message_without_a_place_for_marks_goes_as_the_original(
    raw: bytes, why: PassReason
) -> None:
    template = _compile(raw)
    assert template.layouts == ()
    assert _why(template) is why
    assert template.parts[0].reason is not None


def test_clicks_without_links_is_nothing_to_track() -> None:
    assert _why(_compile(_mail(_part("<p>x")), _CLICKS)) is PassReason.NOTHING_TO_TRACK


def test_a_sender_has_the_base_of_his_tracking_host() -> None:
    host = TrackingHost(("*@a.example",), "https://t.a.example")
    policy = Policy("r.example", "https://t.example", tracking_hosts=(host,))
    template = _compile(_mail(_part('<a href="https://x.example/">x</a>')), policy=policy)
    assert template.base_url == "https://t.a.example"
    assert _html(_stamp(template)).count("https://t.a.example/") == 2


def test_too_many_links_pass_through() -> None:
    template = _compile(_mail(_part('<a href="https://x.example/">x</a>\n' * 4096)))
    assert (_why(template), template.layouts) == (PassReason.TOO_MANY_LINKS, ())
    fits = _compile(_mail(_part('<a href="https://x.example/">x</a>\n' * 4095)))
    assert fits.links[-1].number == 4095


def test_links_that_are_left_are_too_many_too() -> None:
    many = _mail(_multipart("mixed", _part("<p>x"), _part("<a href='#'>x</a>\n" * 16_385)))
    assert (_why(_compile(many)), _compile(many).layouts) == (PassReason.TOO_MANY_LINKS, ())
    half = _part("<a href='#'>x</a>\n" * 8193)
    assert _why(_compile(_mail(_multipart("mixed", half, half)))) is PassReason.TOO_MANY_LINKS
    fits = _compile(_mail(_part("<a href='#'>x</a>\n" * 16_384)))
    assert len(fits.left) == 16_384
    assert len(fits.layouts) == 1


def test_links_are_numbered_in_the_order_of_the_document() -> None:
    html = "".join(f'<p><a href="https://x.example/{n}">x</a><a href="#">y</a>\n' for n in range(9))
    template = _compile(_mail(_multipart("mixed", _part(html), _part(html))))
    assert [link.number for link in template.links] == list(range(1, 19))
    assert [link.part for link in template.links] == ["1.1"] * 9 + ["1.2"] * 9
    numbers = [s.number for s in template.layouts[0].segments if isinstance(s, Slot)]
    assert numbers == [*range(1, 19), 0]


def test_the_pixel_goes_into_the_last_part_that_is_shown() -> None:
    attached = _part("<p>attached", more='Content-Disposition: attachment; filename="x.html"\r\n')
    related = _multipart("related", _part("<p>shown"), _part("<p>refered to"), boundary="r")
    raw = _mail(
        _multipart("mixed", _multipart("alternative", _PLAIN, related, boundary="a"), attached)
    )
    template = _compile(raw)
    assert {note.part: note.reason and note.reason.reason for note in template.parts} == {
        "1.1.1": PassReason.PLAIN_TEXT,
        "1.1.2.1": None,
        "1.1.2.2": PassReason.ATTACHMENT,
        "1.2": PassReason.ATTACHMENT,
    }
    assert _PIXEL.search(_html(_stamp(template)))


def test_of_two_alternatives_the_better_has_the_pixel_and_both_have_links() -> None:
    link = '<a href="https://x.example/">x</a>'
    amp = _part("<p>amp").replace(b"text/html", b"text/x-amp-html")
    raw = _mail(_multipart("alternative", _part("one" + link), amp, _part("two" + link)))
    stamped = _stamp(_compile(raw)).decode()
    assert len(_LINK.findall(stamped)) == 2
    assert stamped.index("two") < _PIXEL.search(stamped).start()  # type: ignore[union-attr] # there


def test_where_the_last_part_has_no_place_the_one_before_has_the_pixel() -> None:
    raw = _mail(_multipart("mixed", _part("<p>one"), _part("two" * 330)))
    stamped = _stamp(_compile(raw))
    assert stamped.index(b"/o/") < stamped.index(b"two")
    assert stamped.count(b"/o/") == 1


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<body>a<div class=gmail_quote>b</div></body>", "a[]<div"),
        ("<body>a</body></html>", "a[]</body>"),
        ("<p>a", "a\r\n[]\r\n"),
        ("<p>a<!-- </body>", "a[]<!--"),
        ("<p>a<style></body>", "a[]<style>"),
        ("<p>a<b title='</body>", "a[]<b"),
        ("<svg>x</body>", "[]<svg>"),
        ("<body>" + "<p>a\n" * 25_000 + "</body>", "<body>[]<p>a"),
        ("<html><head></head>" + "<p>a\n" * 25_000, "</head>[]<p>"),
    ],
)
def test_the_pixel_stands_where_it_is_live(html: str, seen: str) -> None:
    stamped = _html(_stamp(_compile(_mail(_part(html)))))
    assert seen in _PIXEL.sub("[]", stamped)
    tree = html5lib.parse(stamped, namespaceHTMLElements=False)
    assert [i.get("src") for i in tree.iter("img")][0].startswith("https://t.example/o/")  # noqa: RUF015 - read aloud


def test_the_pixel_stands_at_the_top_where_the_option_says_so() -> None:
    policy = Policy("r.example", "https://t.example", pixel_at_top=True)
    stamped = _html(_stamp(_compile(_mail(_part("<body>a</body>")), policy=policy)))
    assert _PIXEL.sub("[]", stamped).startswith("<body>[]a")


def test_a_link_whose_line_would_grow_too_long_is_left() -> None:
    url = "https://x.example/" + "y" * 940
    html = f'<p>\n<a href="{url}">one</a>\n<a href="https://x.example/">two</a>\n</p>\n'
    template = _compile(_mail(_part(html)))
    assert [link.text for link in template.links] == ["two"]
    assert _left(template) == [(url, PassReason.LINE_TOO_LONG)]
    clicks = _compile(_mail(_part(html)), _CLICKS)
    assert [link.text for link in clicks.links] == ["two"]
    assert max(map(len, _stamp(template).split(b"\r\n"))) <= 998


_HTML_CASES: Sequence[tuple[str, str, PassReason]] = [
    ('<a href="/x">a</a>', "/x", PassReason.RELATIVE),
    ("<a href>a</a>", "", PassReason.RELATIVE),
    ('<a href="https://x.example/">x.example</a>', "https://x.example/", PassReason.TEXT_IS_URL),
    ('<a data-no-track href="https://x.example/">a</a>', "https://x.example/",
     PassReason.OPTED_OUT),
    ('<template><a href="https://x.example/">a</a></template>', "https://x.example/",
     PassReason.AMBIGUOUS_HTML),
    ('<blockquote type=cite><a href="https://x.example/">a</a></blockquote>', "https://x.example/",
     PassReason.QUOTED_HISTORY),
    ('<!--[if mso]><v:rect href="https://x.example/?a&amp;b"><![endif]-->', "https://x.example/?a&b",
     PassReason.CONDITIONAL_COMMENT),
]  # fmt: skip


@pytest.mark.parametrize(("html", "url", "reason"), _HTML_CASES)
def test_a_link_is_left_as_it_is_and_the_reason_said(
    html: str, url: str, reason: PassReason
) -> None:
    template = _compile(_mail(_part(f"<body>{html}</body>")))
    assert _left(template) == [(url, reason)]
    assert html in _html(_stamp(template))


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("plain &amp; simple", "plain & simple"),
        ("<b>two</b>\n  words", "two words"),
        ('<img src=x alt="Our shop">', "Our shop"),
        ('<img src=x><img alt=" "><img alt=two>', "two"),
        ("<img src=x>", ""),
        ("<style>x</style>shown", "shown"),
        ("é" * 300, "é" * 200),
    ],
)
def test_a_link_is_known_by_what_the_reader_sees(inner: str, text: str) -> None:
    template = _compile(_mail(_part(f'<a href="https://x.example/">{inner}</a>')))
    assert [link.text for link in template.links] == [text]


def test_an_area_is_tracked_and_known_by_its_alternative_text() -> None:
    html = '<map><area alt="North &amp; west" href="https://x.example/"></map>'
    assert [link.text for link in _compile(_mail(_part(html))).links] == ["North & west"]


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_an_href_is_safe_in_whatever_quotes_it_stands(quote: str) -> None:
    apostrophe = "&#39;" if quote == "'" else "'"
    url = f"https://x.example/a{apostrophe}b`c?`d{apostrophe}e&amp;copy=2#f{apostrophe}g"
    seen = _html(_stamp(_compile(_mail(_part(f"<a href={quote}{url}{quote}>x</a>")))))
    (anchor,) = html5lib.parse(seen, namespaceHTMLElements=False).iter("a")
    token = _LINK.findall(seen)[0]
    wanted = f"https://t.example/c/{token}/x.example/a'b%60c?`d%27e&copy=2#f'g"
    assert anchor.get("href") == wanted
    inner = re.search(rf"href={quote}([^ >]*?){quote}>", seen)
    assert inner is not None
    assert not re.search("[\"'<>`\\\\]", inner[1])


def test_stale_marks_of_ours_are_taken_out_and_links_tracked_anew() -> None:
    stale = f"https://t.example/c/{_TOKEN}/x.example/y?a&amp;b"
    html = (
        f'<body>new <a href="{stale}">one</a><blockquote type="cite">'
        f'<a href="{stale}">two</a><img src="https://t.example/o/{_TOKEN}.gif" alt=""></blockquote>'
        "</body>"
    )
    template = _compile(_mail(_part(html)), _FULL, _OPENS)
    seen = _html(_stamp(template))
    assert len(_PIXEL.findall(seen)) == 1
    assert len(_LINK.findall(seen)) == 1
    assert '<a href="http://x.example/y?a&amp;b">two</a></blockquote>' in seen
    assert [link.url for link in template.links] == ["http://x.example/y?a&b"]
    assert _left(template) == [("http://x.example/y?a&b", PassReason.QUOTED_HISTORY)]
    opens_only = _html(_stamp(template, layout=1))
    assert '<a href="http://x.example/y?a&amp;b">one</a>' in opens_only
    assert "t.example/c/" not in opens_only


def test_marks_of_other_trackers_and_inert_ones_are_not_ours_to_touch() -> None:
    other = '<img src="https://o.example/o/x.gif"><a href="/o/x">a</a>'
    inert = f'<template><img src="https://t.example/o/{_TOKEN}.gif"></template>'
    seen = _html(_stamp(_compile(_mail(_part(other + inert)))))
    assert other + inert in seen


@pytest.mark.parametrize("before", ["<", "&am"])
def test_a_stale_pixel_stays_where_text_would_join_to_something_else(before: str) -> None:
    html = f'{before}<img src="https://t.example/o/{_TOKEN}.gif">a href=p;>x'
    assert html in _html(_stamp(_compile(_mail(_part(html)))))


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("--=_{}b", True),
        ("{}--=_b", True),
        ("--{}=_{}b  ", True),
        ("-- {}", False),
        ("-- {}<br>", False),
        ("a --{}=_b", False),
    ],
)
def test_a_stale_pixel_stays_where_its_line_would_become_a_delimiter(
    line: str, *, stays: bool
) -> None:
    pixel = f'<img src="https://t.example/o/{_TOKEN}.gif">'
    html = f"<p>x\n{line.replace('{}', pixel)}\n</p>\n"
    template = _compile(_mail(_multipart("mixed", _PLAIN, _part(html))))
    assert _why(template) is not PassReason.OUR_FAULT, template.passed
    assert (f"o/{_TOKEN}" in _html(_stamp(template))) is stays


def test_marks_that_would_be_read_otherwise_are_not_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.part.edits_hold", lambda *_: False)
    template = _compile(_mail(_part("<p>x")))
    assert (_why(template), template.layouts) == (PassReason.AMBIGUOUS_HTML, ())


def test_a_list_unsubscribe_url_is_left_alone() -> None:
    header = "List-Unsubscribe: <mailto:x@y.example>,\r\n <https://x.example/\r\n leave?a=1>\r\n"
    html = '<a href="https://x.example/leave?a=1">leave</a>'
    template = _compile(_mail(_part(html), header))
    assert _left(template) == [("https://x.example/leave?a=1", PassReason.UNSUBSCRIBE)]


def test_a_pixel_after_the_last_line_of_a_message_is_followed_by_a_line_end() -> None:
    assert _stamp(_compile(_mail(_part("<p>x\n")))).endswith(b'alt="">\r\n')
    assert _stamp(_compile(_mail(_part("<p>x", "base64")))).endswith(b"\r\n")


def test_an_exception_lets_the_original_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")  # noqa: EM101 - a fault injected

    monkeypatch.setattr("relay.compile.list_shown", fail)
    template = _compile(_mail(_part("<p>x")))
    assert (_why(template), template.layouts) == (PassReason.OUR_FAULT, ())


def test_a_lack_of_memory_is_no_fault_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("relay.compile.list_shown", fail)
    with pytest.raises(MemoryError):
        _compile(_mail(_part("<p>x")))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("relay.compile.lay_out", lambda *_: ()),
        ("relay.compile.lay_out", lambda _, segments: tuple(segments)[::-1]),
        ("relay.mime.encoding.apply_edits", lambda *_: b""),
        ("relay.mime.encoding.Draft.close", lambda draft: tuple(draft._done)[::-1]),
        ("relay.compile.parse_entity", lambda _: parse_entity(b"\r\n")),
    ],
)
def test_a_layout_that_is_not_the_original_with_marks_is_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., object]
) -> None:
    monkeypatch.setattr(name, broken)
    template = _compile(_mail(_multipart("mixed", _PLAIN, _part("<p>x\n."))))
    assert _why(template) is PassReason.OUR_FAULT


_BITS = st.sampled_from(
    [
        '<a href="https://x.example/a?b=1&amp;c=2">w</a>', "<a href=https://y.example>z</a>",
        f'<img src="https://t.example/o/{_TOKEN}.gif">', "<blockquote type=cite>", "</blockquote>",
        f"<a href='https://t.example/c/{_TOKEN}/x.example/?q'>s</a>", "</body>", "<body>", "é",
        "\n", ".", "\n.\n", "--=_b", "\n--=_b\n", "=\n", "<!--", "-->", "<div class=gmail_quote>",
        "text", "</div>", " " * 40, "x" * 90, "<style>", "</style>", "<svg>", "</svg>", '<a href="',
        "\n-- \n",
    ]
)  # fmt: skip
_DOCUMENTS = st.lists(_BITS, min_size=1, max_size=14).map("".join)
_SHAPES = st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"])


def _any_mail(html: str, encoding: str, *, multipart: bool) -> bytes:
    part = _part(html, encoding)
    return _mail(_multipart("alternative", _PLAIN, part, boundary="=_q") if multipart else part)


def _given_back(template: Template, layout: int) -> bytes:
    """The original, from the spans of a layout and what stood between them."""
    wire, position = b"", 0
    for segment in template.layouts[layout].segments:
        if not isinstance(segment, bytes | Slot):
            wire += template.original[position : segment.end]
            position = segment.end
    return wire + template.original[position:]


@settings(max_examples=150)
@given(_DOCUMENTS, _SHAPES, st.booleans())
def test_law_with_every_slot_given_back_each_layout_is_the_original(
    html: str, encoding: str, multipart: bool
) -> None:
    raw = _any_mail(html, encoding, multipart=multipart)
    template = _compile(raw, _FULL, _OPENS, _CLICKS)
    assert _why(template) is not PassReason.OUR_FAULT, template.passed
    for layout in range(len(template.layouts)):
        assert _given_back(template, layout) == template.original
    received = template.original.partition(b"From: ")[0]
    assert re.sub(rb"(?m)^\.", b"", template.original) == received + raw


@settings(max_examples=150)
@given(_DOCUMENTS, _SHAPES)
def test_law_instrumenting_a_copy_yields_one_pixel_and_no_nested_link(
    html: str, encoding: str
) -> None:
    once = _compile(_any_mail(html, encoding, multipart=False))
    if not once.layouts:
        return
    again = _compile(_stamp(once), _FULL)
    assert _why(again) is not PassReason.OUR_FAULT, again.passed
    if again.layouts:
        seen = _html(_stamp(again, 2))
        live = html5lib.parse(seen, namespaceHTMLElements=False)
        ours = [
            i for i in live.iter("img") if (i.get("src") or "").startswith("https://t.example/o/")
        ]
        assert len(ours) <= 1 or "<svg" in html
        for anchor in live.iter("a"):
            assert not _NESTED.match(anchor.get("href") or "")
        assert [link.url for link in again.links] == [link.url for link in once.links]


@settings(max_examples=50)
@given(_DOCUMENTS, _SHAPES)
def test_law_recipients_share_no_token_and_a_retry_sends_the_same_bytes(
    html: str, encoding: str
) -> None:
    template = _compile(_any_mail(html, encoding, multipart=True))
    if template.layouts:
        first, second = _stamp(template, 1), _stamp(template, 2)
        assert first == _stamp(template, 1)
        tokens = [
            set(_LINK.findall(_html(each))) | set(_PIXEL.findall(_html(each)))
            for each in (first, second)
        ]
        stale = {_TOKEN}
        assert not (tokens[0] & tokens[1]) - stale
