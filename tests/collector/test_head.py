import asyncio
import string
from typing import Any

import pytest

# The parser in C, unless AIOHTTP_NO_EXTENSIONS is set; then both are the same.
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParserPy
from hypothesis import given
from hypothesis import strategies as st

from collector.head import MAX_BYTES, Head, read_head

PLAIN = (
    b"GET /o/x.gif HTTP/1.1\r\nHost: t.example.com\r\nUser-Agent: Thing/1 (a: b)\r\n"
    b"Accept-Language:  sv \r\n\r\n"
)


def test_a_plain_head_is_read_with_names_in_lower_case_and_values_trimmed() -> None:
    assert read_head(PLAIN) == Head(
        "/o/x.gif",
        {"host": "t.example.com", "user-agent": "Thing/1 (a: b)", "accept-language": "sv"},
        stays=True,
    )


@pytest.mark.parametrize(
    ("line", "field", "stays"),
    [
        (b"HTTP/1.1", b"Connection: keep-alive\r\n", True),
        (b"HTTP/1.1", b"Connection: Keep-Alive\r\n", True),
        (b"HTTP/1.1", b"Connection: close\r\n", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Connection: close\r\n", False),
    ],
)
def test_a_connection_stays_by_version_and_field(line: bytes, field: bytes, stays: bool) -> None:
    head = read_head(b"GET / " + line + b"\r\nHost: x\r\n" + field + b"\r\n")
    assert head is not None
    assert head.stays is stays


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"\r\n" + PLAIN,
        PLAIN[:-2],
        PLAIN + b"x",
        PLAIN.replace(b"GET", b"get"),
        PLAIN.replace(b"GET", b"HEAD"),
        PLAIN.replace(b"GET", b"POST"),
        PLAIN.replace(b"GET /", b"GET  /"),
        PLAIN.replace(b"/o/x.gif", b"http://t.example.com/o/x.gif"),
        PLAIN.replace(b"/o/x.gif", b"*"),
        PLAIN.replace(b"x.gif", b"x#y.gif"),
        PLAIN.replace(b"x.gif", b"x\xe9.gif"),
        PLAIN.replace(b"x.gif", b"x\t.gif"),
        PLAIN.replace(b"1.1", b"2.0"),
        PLAIN.replace(b"Host:", b"Host :"),
        PLAIN.replace(b"Host:", b" Host:"),
        PLAIN.replace(b"Host", b"Ho\xffst"),
        PLAIN.replace(b"sv", b"s\xffv"),
        PLAIN.replace(b"sv", b"s\x00v"),
        PLAIN.replace(b"sv", b"s\rv"),
        PLAIN.replace(b"sv", b"s\nv"),
        PLAIN.replace(b" sv", b"\r\n sv"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"Accept-Language:  sv", b"Content-Length: 0"),
        PLAIN.replace(b"Accept-Language:  sv", b"TRANSFER-encoding: chunked"),
        PLAIN.replace(b"Accept-Language:  sv", b"Expect: 100-continue"),
        PLAIN.replace(b"Accept-Language:  sv", b"Upgrade: h2c"),
        PLAIN.replace(b"Accept-Language:  sv", b"Connection: keep-alive, Upgrade"),
        PLAIN.replace(b"1.1", b"1.0").replace(
            b"Host: t.example.com", b"Host: x\r\nConnection: keep-alive"
        ),
        PLAIN.replace(b"Host", b"Guest"),
        PLAIN.replace(b"Accept-Language", b"host"),
        PLAIN.replace(b"x.gif", b"x" * MAX_BYTES),
        PLAIN.replace(b"Host", b"\r\n".join(b"X%d: 1" % n for n in range(101)) + b"\r\nHost"),
    ],
)
def test_what_is_in_any_way_unusual_is_not_read_here(raw: bytes) -> None:
    assert read_head(raw) is None


class Reading:
    """What a parser of aiohttp wants of its protocol."""

    _reading_paused = False

    def pause_reading(self) -> None:
        raise AssertionError

    def resume_reading(self) -> None:
        raise AssertionError


NAMES = st.sampled_from(
    [
        *["Host", "Connection", "connection", "X-Forwarded-For", "User-Agent", "Accept", "Via"],
        *["Content-Length", "Transfer-Encoding", "Upgrade", "Expect", "TE", "Trailer", "Cookie"],
        *["Content-Encoding", "Sec-WebSocket-Key1", "Range", "Keep-Alive", "X!#$%&'*+-.^_`|~9"],
    ]
) | st.text(string.ascii_letters + "-_ :\t", max_size=5)
VALUES = st.sampled_from(
    ["", " ", "close", "keep-alive", "Close", "upgrade", "close, TE", "0", "5", "chunked", "gzip"]
) | st.text(st.characters(max_codepoint=255), max_size=9)
TARGETS = st.sampled_from(["/", "//x", "/o/A.gif", "/c/A/http://x:y/%2F?a#b", "*", "http://x/", ""])
HEADS = st.builds(
    lambda line, host, fields, end: (line + host + "".join(fields) + end).encode("latin-1"),
    st.builds(
        "{0} {1} HTTP/{2}{3}".format,
        st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "gET", "GET\t"]),
        TARGETS | st.text(st.characters(max_codepoint=255), max_size=6).map("/{}".format),
        st.sampled_from(["1.1", "1.1", "1.0", "0.9", "2", "1.1 "]),
        st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\n "]),
    ),
    st.sampled_from(["Host: x\r\n", "Host: x:80\r\n", "host:\r\n", "Host: a b/c,d\r\n", ""]),
    st.lists(
        st.builds(
            "{}{}{}{}".format,
            NAMES,
            st.sampled_from([":", ": ", ":", ": ", " : ", ""]),
            VALUES,
            st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"]),
        ),
        max_size=4,
    ),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "", "\r\n\r\n", "\n"]),
)


@pytest.mark.parametrize("parser_class", [HttpRequestParser, HttpRequestParserPy])
@given(raw=HEADS | HEADS.map(lambda raw: raw.replace(b"HEAD", b"GET")))
def test_law_what_is_read_here_aiohttps_parser_reads_alike(parser_class: Any, raw: bytes) -> None:
    """Law: method, target, fields, and whether the connection stays."""
    head = read_head(raw)
    if head is None:
        return
    loop = asyncio.new_event_loop()
    try:
        parser = parser_class(Reading(), loop, 2**16)
        try:
            ((message, _),), upgraded, tail = parser.feed_data(raw)
        except HttpProcessingError as refusal:
            pytest.fail(f"aiohttp refuses {raw!r}: {refusal}")
    finally:
        loop.close()
    fields = {name.lower(): value for name, value in message.headers.items()}
    assert (message.method, message.path, fields) == ("GET", head.target, head.headers)
    assert (message.should_close, upgraded, tail) == (not head.stays, False, b"")
    assert (message.chunked, message.upgrade, message.compression) == (False, False, None)
