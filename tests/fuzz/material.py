"""What the fuzzer begins with, and how input number `n` of a seed is made of it."""

import base64
import email
import email.policy
import quopri
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 6_000
"""Of an input: small ones find what large ones do, and more of them fit into a second."""

_OWN_HTML: tuple[bytes, ...] = (
    (
        b'<html><head><title>t</title></head><body><p>Hello</p><a href="https://shop.example/a?b=1&amp;'
        b'c=2#d">offer</a></body></html>'
    ),
    (
        b"<div dir=ltr>answer <a href='http://x.example'>here</a></div><div class=\"gmail_quote\">"
        b'<blockquote class="gmail_quote">old <a href="https://old.example/">link</a></blockquote></div>'
    ),
    (
        b'<p>new<div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> A</div><p>'
        b"<a href=https://y.example/p>old</a>"
    ),
    (
        b"<!--[if mso]><v:roundrect href=\"https://v.example/\"><![endif]--><a href='https://v.example/'>"
        b"Buy</a><!--[if !mso]><!--><b>x</b><!--<![endif]-->"
    ),
    (
        b'<svg width=1><a href="https://s.example/">x</a><title>t</title></svg><select><option>1</select>'
        b"<math><mi>x</mi></math><template><a href=//t>t</a></template>"
    ),
    (
        b'<map><area alt="n" href="https://m.example/"></map><a href="mailto:a@b.example">m</a>'
        b'<a href="#x">f</a><a href="/r">r</a><a data-no-track href="https://o.example/">o</a>'
    ),
    (
        b"<style>a{}</style><script>'<!--<script>'</script><textarea></body></textarea><noscript>"
        b"<a href=https://n.example/>n</a></noscript>"
    ),
    (
        b'<a href="https://t.example/c/AQAAAAAAAAPoABMFp7cXr1g7aWMP9UMMbWbn/old.example/x">again</a>'
        b'<img src="https://t.example/o/AQAAAAAAAAPoAAIFp7cXr1g7aWMP9UMMbWbn.gif">'
    ),
    "<p>Gr\u00fc\u00dfe, \u8868\u793a &copy; 2026 <a href='https://m\u00fcller.example/stra\u00dfe'>dort</a>".encode(),
    b"\r\n.\r\n..\r\n--b\r\n<a\r\n href =\r\n 'https://l.example/\tx'\r\n>\r\nlines</a>\r\n.",
)
_STALE = b'<img src="https://t.example/o/AQAAAAAAAAPoAAIFp7cXr1g7aWMP9UMMbWbn.gif">'
_SNIPPETS: tuple[bytes, ...] = (
    b"<", b">", b'"', b"'", b"&", b"=", b"\r\n", b"\r\n.", b"\r\n\r\n", b"--", b"-->", b"<!--",
    b"--!>", b"<![CDATA[", b"]]>", b'<a href="https://q.example/">q</a>',
    b"<a href=https://q.example/q>", b"</a>", b"</body>", b"</html>", b"<body>",
    _STALE, b"<svg>", b"</svg>", b"<math>", b"<style>",
    b"</style>", b"<title>", b"<textarea>", b"<plaintext>", b"<select>", b"<template>",
    b"</template>", b"<noscript>", b"<frameset>", b"<base href=/x>", b"<blockquote type=cite>",
    b"</blockquote>", b"<div class=gmail_quote>", b"</div>", b"&amp;", b"&#x3a;", b"&colon;",
    b"href", b" href = ", b"https://", b"http:\\\\", b"%2e%2e/", b"{{x}}", b"\t", b"=\r\n", b"=3D",
    b"=C3", b"\xc3\xa9", b'\x1b$B"<', b"\x1b(B", b"\x81<", b"\xff", b"\x00", b"\x0c", b"x" * 80,
    b"y" * 990, b" " * 70, b"--b", b"--b--", b"\r\n--b\r\n", b"\r\n--b--\r\n", b";", b":",
    b"Content-Type: text/html\r\n", b"Content-Transfer-Encoding: base64\r\n", b"charset=utf-16",
    b"Content-Disposition: attachment\r\n", b"multipart/alternative; boundary=b",
    b"DKIM-Signature: v=1\r\n", b"Bcc: x@y.example\r\n", b"(", b"=?utf-8?q?x?=", b"<script>",
    b"</script>", b"<o:p></o:p>", b"<?xml ",
)  # fmt: skip
_CHARSETS = (b"utf-8", b"us-ascii", b"iso-8859-1", b"windows-1252", b"shift_jis", b"iso-2022-jp",
             b"gb2312", b"big5", b"euc-kr", b"koi8-r", b"utf-7", b"utf-16", b"")  # fmt: skip
_ENCODINGS = (b"7bit", b"8bit", b"quoted-printable", b"base64", b"8bit", b"QUOTED-PRINTABLE")
_PLAIN = (
    b"--b\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\n\r\nplain <https://shop.example/a"
    b"?b=1&c=2#d>, \r\nhttp://x.example (https://y.example/(z)).\r\n"
    b"> https://q.example/\r\n-- \r\nAnn\r\n"
)
_HEAD = b"From: Ann <ann@sales.example>\r\nTo: b@example.org\r\nSubject: s\r\nMIME-Version: 1.0\r\n"


@dataclass(frozen=True, slots=True)
class Pool:
    """Whole messages and HTML documents to mutate."""

    messages: Sequence[bytes]
    documents: Sequence[bytes]
    corpus: bool
    """Whether the developers' corpus is among them."""


def load_pool(corpus: Path | None) -> Pool:
    """Return the pool: always the same for the same corpus."""
    documents, messages = list(_OWN_HTML), [_wrap(html, 0) for html in _OWN_HTML]
    files = sorted(corpus.rglob("*")) if corpus and corpus.is_dir() else []
    for number, path in enumerate(files):
        if path.is_relative_to(corpus / "sisimai__set-of-emails") and number % 8:  # type: ignore[operator] # there are files
            continue  # bounces, which are left alone
        if path.suffix in (".eml", ".msg", ".raw", ".txt", ".mbox") and path.is_file():
            raw = as_submitted(path.read_bytes())
            if b"text/html" in raw.lower() or number % 4 == 0:
                messages.append(raw)
            documents += _documents_of(raw)
        elif path.suffix in (".html", ".htm"):
            documents.append(path.read_bytes())
    return Pool(messages, [each for each in documents if each.strip()], bool(files))


def _documents_of(raw: bytes) -> list[bytes]:
    try:
        parts = list(email.message_from_bytes(raw, policy=email.policy.compat32).walk())
        html = [part for part in parts if part.get_content_type() == "text/html"]
        return [body for part in html if isinstance(body := part.get_payload(decode=True), bytes)]
    except Exception:  # noqa: BLE001 - the standard library's parser fails on some of the corpus
        return []


def make_input(pool: Pool, seed: int, number: int) -> bytes:
    """Return input `number` of a seed, as it is submitted."""
    dice = random.Random(seed << 40 | number)
    if dice.random() < 0.72:
        html = _mutate(_window(dice.choice(pool.documents), dice), pool, dice)
        raw = _wrap(html, dice.randrange(1 << 16))
        if dice.random() < 0.15:
            raw = _mutate(raw, pool, dice)
    else:
        raw = _mutate(_shortened(dice.choice(pool.messages), dice), pool, dice)
    return as_submitted(raw[: 2 * MAX_BYTES])


def as_submitted(raw: bytes) -> bytes:
    """Return bytes as ACCEPT hands them on: lines end CRLF, the last too; no NUL, no lone CR."""
    raw = re.sub(rb"\r*\n|\r", b"\r\n", raw.replace(b"\0", b""))
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def _window(text: bytes, dice: random.Random) -> bytes:
    if len(text) <= MAX_BYTES // 4:
        return text
    size = dice.randrange(200, MAX_BYTES // 3)
    start = dice.choice((0, len(text) - size, dice.randrange(len(text))))
    return text[max(start, 0) : max(start, 0) + size]


def _shortened(raw: bytes, dice: random.Random) -> bytes:
    """Return the header and stretches of the body of a message that is too long."""
    if len(raw) <= MAX_BYTES // 2:
        return raw
    head, _, body = raw.partition(b"\r\n\r\n")
    if len(head) > MAX_BYTES // 2:
        kept = [field for field in head.split(b"\r\n") if field[:1] in b"CcMmFfTtSs \t"]
        head = b"\r\n".join(kept)[: MAX_BYTES // 2]
    size = dice.randrange(300, MAX_BYTES // 2)
    cut = dice.randrange(max(len(body) - size, 1))
    return head + b"\r\n\r\n" + body[: size // 2] + body[cut : cut + size // 2]


def _wrap(html: bytes, shape: int) -> bytes:
    """Return a message with a document in it; the shape chooses encoding, charset and parts."""
    encoding = _ENCODINGS[shape % len(_ENCODINGS)]
    charset = _CHARSETS[shape // 8 % len(_CHARSETS)] if shape & 4 else b"utf-8"
    body = _ENCODERS[encoding.lower()](html, shape)
    label = b"; charset=" + charset if charset else b""
    part = (
        b"Content-Type: text/html" + label + b"\r\n"
        b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
    )
    kind = shape >> 12
    if kind < 6:
        return _HEAD + part
    subtype = (b"alternative", b"mixed", b"related", b"mixed", b"digest", b"alternative")[kind % 6]
    more = (_PLAIN, b"", b"preamble\r\n")[kind % 3]
    closed = (b"\r\n--b--\r\n", b"\r\n--b--\r\nepilogue", b"")[kind // 4 % 3]
    head = _HEAD + b"Content-Type: multipart/" + subtype + b"; boundary=b\r\n\r\n"
    return head + more + b"--b\r\n" + part + closed


def _as_it_is(html: bytes, _shape: int) -> bytes:
    return html


def _quoted(html: bytes, shape: int) -> bytes:
    lines = [quopri.encodestring(line, quotetabs=bool(shape & 512)) for line in html.splitlines()]
    return b"\r\n".join(lines).replace(b"=\n", b"=\r\n")


def _in_base64(html: bytes, shape: int) -> bytes:
    text, width = base64.b64encode(html), (76, 60, 4, 72, 75, 1000)[shape // 512 % 6]
    return b"\r\n".join(text[at : at + width] for at in range(0, len(text), width))


_ENCODERS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"7bit": _as_it_is,
    b"8bit": _as_it_is,
    b"quoted-printable": _quoted,
    b"base64": _in_base64,
}


def _mutate(text: bytes, pool: Pool, dice: random.Random) -> bytes:
    for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4, 8))):
        at, other = dice.randrange(len(text) + 1), dice.randrange(len(text) + 1)
        start, end = min(at, other), max(at, other)
        match dice.randrange(8):
            case 0:
                text = text[:start] + text[min(end, start + dice.randrange(1, 40)) :]
            case 1 | 2 | 3:
                text = text[:at] + dice.choice(_SNIPPETS) + text[at:]
            case 4:
                text = text[:at] + bytes((dice.randrange(256),)) + text[at + 1 :]
            case 5:
                text = text[:at] + text[start : min(end, start + 300)] + text[at:]
            case 6:
                donor = dice.choice(pool.documents)
                cut = dice.randrange(len(donor))
                text = text[:at] + donor[cut : cut + dice.randrange(1, 300)] + text[at:]
            case _:
                text = text[:at]
    return text
