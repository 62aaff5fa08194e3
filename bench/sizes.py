"""How the time for a message grows with its size: twice the size is to take under 2.5 x the time.

    .venv/bin/python bench/sizes.py [MAX_MB] [SHAPE]

Each shape is doubled from 100 KB up to MAX_MB (25), and taken from parse_entity to stamp_copy; CPU
seconds, the best of three where they are short.  A ratio is told where the smaller one took
100 ms: under that, caches and the allocator tell.
"""

import base64
import itertools
import quopri
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

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

KEY = TokenKey(3, b"k" * 32)
POLICY = Policy(
    "relay.example",
    "https://t.example",
    unknown_consent=TrackingMode.INDIVIDUAL,
    text_clicks=True,
)
LIMIT = 2.5
TOLD_FROM_S = 0.1
GIVEN_UP_S = 30.0
HEAD = b"From: a@a.example\r\nTo: b@b.example\r\nMIME-Version: 1.0\r\n"
LINE = b"<p>Dear reader, caf\xc3\xa9 and so on, see below, it goes on and on like this.</p>\r\n"
LINK = b'<p>Read <a href="https://shop.example/a?b=1&amp;c=2">the offer</a> and more.</p>\r\n'
STALE = (
    b'<img src="https://t.example/o/AQAAAAAAAAPoAAIFp7cXr1g7aWMP9UMMbWbn.gif"><a href="https://t.ex'
    b'ample/c/AQAAAAAAAAPoABMFp7cXr1g7aWMP9UMMbWbn/shop.example/">x</a>\r\n'
)


def html(body: bytes, encoding: bytes = b"8bit", charset: bytes = b"utf-8") -> bytes:
    head = b"Content-Type: text/html; charset=" + charset + b"\r\nContent-Transfer-Encoding: "
    return HEAD + head + encoding + b"\r\n\r\n" + body + b"\r\n"


def fill(piece: bytes, size: int) -> bytes:
    return piece * max(1, size // len(piece))


def some_links(size: int) -> bytes:
    """Sixty links in each 64 KB of lines, up to four thousand."""
    return fill(LINK + LINE * 13, min(size, 4000 * 1100)) + fill(LINE, max(0, size - 4000 * 1100))


def quoted(body: bytes) -> bytes:
    return quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")


def in_base64(body: bytes, *, one_line: bool = False) -> bytes:
    text = base64.b64encode(body) if one_line else base64.encodebytes(body)
    return text.replace(b"\n", b"\r\n")


def multipart(parts: bytes, *, closed: bool = True) -> bytes:
    head = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + parts + (b"\r\n--b--\r\n" if closed else b"\r\n")


def nested(size: int) -> bytes:
    """Forty multiparts in each other, then lines that look like delimiters."""
    levels = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(40)
    )
    return HEAD + levels + b"\r\n" + fill(b"--b3x\r\n--b31 \r\ntext\r\n", size)


def plain(body: bytes) -> bytes:
    return HEAD + b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n" + body + b"\r\n"


SHAPES: dict[str, Callable[[int], bytes]] = {
    "8bit, links": lambda size: html(some_links(size)),
    "quoted-printable, links": lambda size: html(quoted(some_links(size)), b"quoted-printable"),
    "base64, links": lambda size: html(in_base64(some_links(size)), b"base64"),
    "base64, one line": lambda size: html(in_base64(some_links(size), one_line=True), b"base64"),
    "quoted-printable, one line": lambda size: html(fill(b"x=41", size), b"quoted-printable"),
    "quoted-printable, soft breaks": lambda size: html(fill(b"a=\r\n", size), b"quoted-printable"),
    "8bit, one line": lambda size: html(fill(b"<b>caf\xc3\xa9</b> ", size)),
    "links without end (1 million)": lambda size: html(fill(b"<a href=http://a.b>c", size)),
    "links without end, quoted-printable": lambda size: html(
        fill(b"<a href=3Dhttp://a.b>c=\r\n", size), b"quoted-printable"
    ),
    "linked long text": lambda size: html(LINK + b"<a href=http://a.b>" + fill(b"text ", size)),
    "links in links of long text": lambda size: html(
        fill(b"<a href=http://a.b>" + b"<b>text</b> " * 1000, size)
    ),
    "stale marks": lambda size: html(fill(STALE, min(size, 3_000 * 150)) + fill(LINE, size)),
    "stale pixels only": lambda size: html(fill(STALE[:71] + b"\r\n", size)),
    "nested elements": lambda size: html(fill(b"<div><blockquote type=cite>", size)),
    "open and close": lambda size: html(fill(b"<object><b></b></object>", size)),
    "objects in each other": lambda size: html(
        fill(b"<object>", size // 2) + fill(b"</object>", size // 2)
    ),
    "objects that never end": lambda size: html(
        b"<object>" + fill(b"<i></i>", size // 2) + b"<b>" + fill(b"</object>", size // 2)
    ),
    "noscript": lambda size: html(fill(b"<noscript><p>x</p></noscript>", size)),
    "noscript without end": lambda size: html(fill(b"<noscript>", size)),
    "svg without end": lambda size: html(fill(b"<svg><title>", size)),
    "svg with titles": lambda size: html(fill(b"<svg><title>t</title></svg>", size)),
    "selects": lambda size: html(fill(b"<select><option>a</select>", size)),
    "templates without end": lambda size: html(fill(b"<template>", size)),
    "conditional comments": lambda size: html(
        fill(b"<!--[if mso]><a href='https://a.example/'><![endif]-->", size)
    ),
    "comments without end": lambda size: html(fill(b"<!-- ", size)),
    "markup without end": lambda size: html(fill(b"<a href='", size)),
    "attributes": lambda size: html(b"<a " + fill(b"x=1 ", size) + b"href=http://a.b>c</a>"),
    "quotes": lambda size: html(b"<a href=" + fill(b"\"'", size)),
    "less-than signs": lambda size: html(fill(b"<", size)),
    "ampersands": lambda size: html(b'<a href="' + fill(b"&amp;", size) + b'">x</a>'),
    "references in text": lambda size: html(b"<a href=http://a.b>" + fill(b"&a", size)),
    "raw text": lambda size: html(fill(b"<style></style x><title></titl", size)),
    "script escapes": lambda size: html(b"<script>" + fill(b"<!--<script>", size)),
    "ISO-2022-JP": lambda size: html(
        fill("表示 <a\r\n".encode("iso-2022-jp"), size), b"7bit", b"iso-2022-jp"
    ),
    "Shift_JIS": lambda size: html(
        fill("表示ソ<a\r\n".encode("cp932"), size), b"8bit", b"shift_jis"
    ),
    "dots": lambda size: html(fill(b"..\r\n", size)),
    "URLs in text": lambda size: plain(
        fill(b"see https://a.example/?b (or https://c.example)\r\n", size)
    ),
    "one URL in text": lambda size: plain(b"https://a.example/" + fill(b"a.b(", size)),
    "angle brackets in text": lambda size: plain(fill(b"<https://a.example/\r\n", size)),
    "quoted text": lambda size: plain(fill(b"> > https://a.example/ \r\n>", size)),
    "10,000 parts": lambda size: multipart(
        (b"--b\r\nContent-Type: text/html\r\n\r\n" + fill(LINE, size // 10_000) + b"\r\n")
        * 10_000
    ),
    "999 parts": lambda size: multipart(
        (b"--b\r\nContent-Type: text/html\r\n\r\n" + fill(LINK, size // 999) + b"\r\n") * 999
    ),
    "empty parts": lambda size: multipart(fill(b"--b\r\n\r\n", size)),
    "no end of the boundary": lambda size: multipart(b"--b\r\n" + fill(LINE, size), closed=False),
    "look-alikes of the boundary": lambda size: multipart(fill(b"--bx\r\n", size)),
    "multiparts in each other": nested,
    "header fields": lambda size: HEAD + fill(b"X-A: b\r\n", size) + b"\r\n<p>\r\n",
    "a folded field": lambda size: (
        HEAD + b"To: x\r\n" + fill(b" a@b.example,\r\n", size) + b"\r\n<p>\r\n"
    ),
    "attachment": lambda size: multipart(
        b"--b\r\nContent-Type: text/html\r\n\r\n" + LINK
        + b"\r\n--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + fill(b"QUJD" * 19 + b"\r\n", size)
    ),
}  # fmt: skip


def take(raw: bytes) -> float:
    """Return the CPU seconds for the whole way of a message."""
    client = Client("192.0.2.1", "pc.example")
    envelope = Envelope(parse_address("a@a.example"), (parse_address("b@b.example"),))
    sent_at = datetime(2026, 11, 24, 8, tzinfo=UTC)
    submission = Submission("01ARZ3NDEKTSV4RRFFQ69G5FAV", envelope, raw, sent_at, client)
    begin = time.process_time()
    entity = parse_entity(raw)
    verdict = judge(submission, entity, POLICY)
    assert isinstance(verdict, Accept)
    template = compile_template(submission, entity, verdict, POLICY)
    for copy in split_copies(submission.send_id, verdict, template, 3, itertools.count(1)):
        stamp_copy(template, copy, KEY)
    return time.process_time() - begin


def measure(shape: Callable[[int], bytes], max_bytes: int) -> tuple[list[str], float, float]:
    """Return what is told of each size, the worst ratio, and the seconds of the largest."""
    told, worst, before = [], 0.0, 0.0
    size, seconds = 100_000, 0.0
    while size <= max_bytes and seconds < GIVEN_UP_S:
        raw = shape(size)
        seconds = min(take(raw) for _ in range(3 if before < 1 else 1))
        ratio = seconds / before if before >= TOLD_FROM_S else 0.0
        worst = max(worst, ratio)
        told.append(f"{len(raw) / 1e6:.1f} MB {seconds:.3f} s" + f" ({ratio:.2f} x)" * bool(ratio))
        before, size = seconds, size * 2
    return told, worst, seconds


def main() -> int:
    max_bytes = int(float(sys.argv[1] if len(sys.argv) > 1 else 25.6) * 1e6)
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    over = 0
    for name, shape in SHAPES.items():
        if wanted in name:
            told, worst, seconds = measure(shape, max_bytes)
            over += worst >= LIMIT or seconds >= GIVEN_UP_S
            mark = "  OVER" if worst >= LIMIT or seconds >= GIVEN_UP_S else ""
            print(f"{name}: worst {worst:.2f} x, {told[-1]}{mark}", flush=True)
            if mark:
                print("   ", ", ".join(told), flush=True)
    return over


if __name__ == "__main__":
    sys.exit(min(main(), 1))
