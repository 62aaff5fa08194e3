"""Laws over whole ways: a message that comes back, is answered, and goes out again and again."""

import email
import email.policy
import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

_KEY = TokenKey(3, b"k" * 32)
_POLICY = Policy("relay.example", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL)
_PIXEL = re.compile(r"https://t\.example/o/[\w-]{36}\.gif")
_LINK = re.compile(r"https://t\.example/c/[\w-]{36}/(.+)")
_ROUNDS = 5


def _through_the_relay(raw: bytes, recipients: tuple[str, ...], first_copy_id: int) -> list[bytes]:
    """Return the copies as they are delivered, one for each recipient."""
    envelope = Envelope(parse_address("a@a.example"), tuple(map(parse_address, recipients)))
    client = Client("192.0.2.1", "pc.example")
    sent_at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    submission = Submission("01ARZ3NDEKTSV4RRFFQ69G5FAV", envelope, raw, sent_at, client)
    entity = parse_entity(raw)
    verdict = judge(submission, entity, _POLICY)
    assert isinstance(verdict, Accept)
    template = compile_template(submission, entity, verdict, _POLICY)
    copies = split_copies(
        submission.send_id, verdict, template, _KEY.key_id, itertools.count(first_copy_id)
    )
    return [re.sub(rb"(?m)^\.", b"", stamp_copy(template, copy, _KEY)) for copy in copies]


def _html(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    assert body is not None
    return str(body.get_content())


def _inner(html: str) -> str:
    """What a mail program quotes of a message: what is in its body."""
    body = re.search(r"<body[^>]*>(.*)</body>", html, re.DOTALL)
    return body[1] if body else html


def _gmail(answer: str, old: str) -> str:
    return (
        f'<div dir="ltr">{answer}</div><br><div class="gmail_quote gmail_quote_container"><div '
        'dir="ltr" class="gmail_attr">On Sunday B &lt;<a '
        'href="mailto:b@b.example">b@b.example</a>&gt; wrote:<br></div><blockquote class='
        '"gmail_quote" style="margin:0px 0px 0px 0.8ex">' + _inner(old) + "</blockquote></div>\n"
    )


def _outlook_web(answer: str, old: str) -> str:
    return (
        f'<html><head></head><body dir="ltr"><div class="elementToProof">{answer}</div>\n<div '
        'id="appendonsend"></div>\n<hr tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><b>From:</b>'
        f" B<br></div>\n<div>{_inner(old)}</div></body></html>\n"
    )


def _outlook_windows(answer: str, old: str) -> str:
    rule = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"
    return (
        "<html xmlns:o='urn:schemas-microsoft-com:office:office'><body lang=EN-US>"
        f"<div class=WordSection1><p class=MsoNormal>{answer}<o:p></o:p></p><div>"
        f"<div style='{rule}'><p class=MsoNormal><b>From:</b> B<o:p></o:p></p></div></div>"
        f"{_inner(old)}</div></body></html>\n"
    )


def _apple(answer: str, old: str) -> str:
    return (
        f'<html><body style="overflow-wrap: break-word;">{answer}<br><div><blockquote type="cite">'
        f'<div>On Sunday B wrote:</div><br class="Apple-interchange-newline"><div>{_inner(old)}'
        "</div></blockquote></div></body></html>\n"
    )


def _thunderbird(answer: str, old: str) -> str:
    """Below the quotation, as many of its users answer."""
    return (
        '<!DOCTYPE html>\n<html>\n<body>\n<div class="moz-cite-prefix">On 22.11.26, B wrote:<br>\n'
        f'</div>\n<blockquote type="cite" cite="mid:0@b.example">{_inner(old)}</blockquote>\n'
        f"{answer}\n</body>\n</html>\n"
    )


def _yahoo(answer: str, old: str) -> str:
    """Written anew by a program that builds a tree, with other quotes and no end tags."""
    whole = (
        f'<div class="yahoo-style-wrap">{answer}</div><div id="yahoo_quoted_1" class=yahoo_quoted>'
        f"<div>On Sunday, B wrote:</div><div>{_inner(old)}</div></div>"
    )
    return str(html5lib.serialize(html5lib.parse(whole), omit_optional_tags=True))


_STYLES: tuple[Callable[[str, str], str], ...] = (
    _gmail, _outlook_web, _outlook_windows, _apple, _thunderbird, _yahoo,
)  # fmt: skip
_ENCODINGS = ("quoted-printable", "base64", "8bit")


def _mail(html: str, encoding: str) -> bytes:
    message = EmailMessage(email.policy.SMTP)
    message["From"] = "a@a.example"
    message["To"] = "b@b.example"
    message.set_content(html, subtype="html", cte=encoding)
    return message.as_bytes()


def _destinations(html: str) -> tuple[list[str], list[str]]:
    """Where the links of a document lead, one hop on; and the sources of its images."""
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    hrefs = [str(anchor.get("href")) for anchor in tree.iter("a")]
    one_hop = [
        "https://" + tracked[1] if (tracked := _LINK.fullmatch(href)) else href for href in hrefs
    ]
    return one_hop, [str(image.get("src")) for image in tree.iter("img")]


def _answer(number: int) -> str:
    url = f"https://shop.example/{number}?a=1&amp;b=%2F&amp;amp;c=/c/x/#top"
    return f'Answer {number}: <a href="{url}">see</a>, <img src="cid:smile" alt="">'


def _correspond(
    styles: tuple[Callable[[str, str], str], ...], encodings: tuple[str, ...]
) -> list[str]:
    """Let two people answer each other; return the HTML of each message as it was delivered."""
    html = f"<html><body>{_answer(0)}</body></html>\n"
    delivered: list[str] = []
    for number, (style, encoding) in enumerate(zip(styles, encodings, strict=True), 1):
        (copy,) = _through_the_relay(_mail(html, encoding), ("b@b.example",), number)
        delivered.append(_html(copy))
        html = style(_answer(number), delivered[-1])
    return delivered


def _look_at(delivered: list[str]) -> None:
    for number, html in enumerate(delivered):
        links, images = _destinations(html)
        own = [link for link in links if not link.startswith("mailto:")]
        wanted = {
            f"https://shop.example/{each}?a=1&b=%2F&amp;c=/c/x/#top" for each in range(number + 1)
        }
        assert len(own) == number + 1
        assert set(own) == wanted, f"round {number}"
        assert sum(_PIXEL.fullmatch(image) is not None for image in images) == 1, f"round {number}"
        assert html.count("t.example/o/") == 1


@pytest.mark.parametrize("style", _STYLES, ids=lambda style: style.__name__.strip("_"))
@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_five_rounds_leave_one_live_pixel_and_every_link_one_hop_away(
    style: Callable[[str, str], str], encoding: str
) -> None:
    delivered = _correspond((style,) * (_ROUNDS + 1), (encoding,) * (_ROUNDS + 1))
    _look_at(delivered)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.sampled_from(_STYLES)] * (_ROUNDS + 1)),
    st.tuples(*[st.sampled_from(_ENCODINGS)] * (_ROUNDS + 1)),
)
def test_law_instrumenting_what_was_instrumented_yields_one_pixel_and_no_nested_link(
    styles: tuple[Callable[[str, str], str], ...], encodings: tuple[str, ...]
) -> None:
    """Law: a copy that comes back goes out with one pixel, and no link of ours leads to another."""
    _look_at(_correspond(styles, encodings))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(_STYLES), st.sampled_from(_ENCODINGS), st.integers(1, 2**62))
def test_law_the_same_message_is_stamped_alike_and_recipients_share_no_mark(
    style: Callable[[str, str], str], encoding: str, first: int
) -> None:
    """Law: the same template, copy, key and seal give the same bytes."""
    raw = _mail(style(_answer(1), _answer(0)), encoding)
    people = ("b@b.example", "c@c.example", "d@d.example")
    copies = _through_the_relay(raw, people, first)
    assert copies == _through_the_relay(raw, people, first)
    assert len(copies) == len(people)
    found = [set(re.findall(r"t\.example/[oc]/([\w-]{36})", _html(copy))) for copy in copies]
    assert all(not one & other for one, other in itertools.combinations(found, 2))
    assert all(len(marks) == 2 for marks in found)
