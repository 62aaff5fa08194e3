"""DATA from its bytes, however they arrive, and what is canonical."""

import asyncio
from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accept import content
from relay.accept.content import (
    MAX_HEADER_BYTES,
    READ_LIMIT_BYTES,
    canonical_message,
    read_data,
)
from relay.reply import Reply

MAX_BYTES = 100_000
BIG_BYTES = 1 << 20


async def read_from(
    pieces: Iterable[bytes], max_bytes: int = MAX_BYTES
) -> tuple[bytes | None, bytes]:
    """Read while the pieces arrive one by one; return the data and what was left unread."""
    reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
    reading = asyncio.ensure_future(read_data(reader, max_bytes))
    for piece in pieces:
        await asyncio.sleep(0)
        reader.feed_data(piece)
    reader.feed_eof()
    return await reading, await reader.read()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b".\r\n", b"\r\n"),
        (b"x\r\n.\r\n", b"\r\nx\r\n"),
        (b"..\r\n.\r\n", b"\r\n..\r\n"),
        (b"\r\n.\r\n", b"\r\n\r\n"),
        (b".x\r\n..\r\n.\r\n", b"\r\n.x\r\n..\r\n"),
        (b"\r\r\n.\r\n", b"\r\n\r\r\n"),
        (b".\r\r\n.\r\n", b"\r\n.\r\r\n"),
    ],
)
async def test_data_ends_where_its_dot_is_and_what_follows_stays_unread(
    data: bytes, expected: bytes, size: int
) -> None:
    assert await read_from(cut(data + b"QUIT\r\n", size)) == (expected, b"QUIT\r\n")


LINE_ENDS = (b"\r\n", b"\n", b"\r")


@pytest.mark.parametrize(("before", "after"), list(product(LINE_ENDS, LINE_ENDS)))
async def test_only_crlf_dot_crlf_ends_the_data(before: bytes, after: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@example.com>\r\n"
    sent = b"a" + before + b"." + after + smuggled + b"\r\n.\r\n"
    data, unread = await read_from([sent])
    if before + after == b"\r\n\r\n":
        assert (data, unread) == (b"\r\na\r\n", smuggled + b"\r\n.\r\n")
    else:
        assert (data, unread) == (b"\r\n" + sent[:-3], b"")
        raw = canonical_message(data or b"", MAX_BYTES, refuse_lone_lf=False)
        if b"\r" in (before, after):
            assert raw == Reply(550, "5.6.11", "A CR without LF is in the message")
        else:
            # One message. A dot at the beginning of a line is stuffed when it goes out.
            dot = b"" if before == b"\r\n" else b"."
            assert raw == b"a\r\n" + dot + b"\r\n" + smuggled + b"\r\n"


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n.", b"."]), max_size=30),
    st.integers(min_value=1, max_value=7),
)
def test_no_bytes_before_it_hide_or_forge_the_end(pieces: list[bytes], size: int) -> None:
    # Law: only CRLF.CRLF ends the data, whatever the bytes before it and however they arrive.
    sent = b"".join(pieces) + b"\r\n.\r\n"
    end = (b"\r\n" + sent).index(b"\r\n.\r\n")
    data, unread = asyncio.run(read_from(cut(sent, size)))
    assert data == (b"\r\n" + sent)[: end + 2]
    assert unread == (b"\r\n" + sent)[end + 5 :]


@given(st.binary(max_size=200), st.booleans())
def test_what_is_canonical_has_whole_lines_and_no_nul(body: bytes, refuse: bool) -> None:
    # Law: a canonical message has no lone CR, no lone LF and no NUL, and its last line is ended.
    raw = canonical_message(b"\r\n" + body + b"\r\n", MAX_BYTES, refuse_lone_lf=refuse)
    if isinstance(raw, bytes):
        assert raw.endswith(b"\r\n")
        assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
        assert b"\0" not in raw


@given(st.lists(st.text("a. \t", max_size=5).map(str.encode), max_size=8))
def test_stuffing_is_undone(lines: list[bytes]) -> None:
    raw = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)
    assert canonical_message(b"\r\n" + stuffed, MAX_BYTES, refuse_lone_lf=True) == raw


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\r\na\rb\r\n", "550 5.6.11"),
        (b"\r\na\r\r\n", "550 5.6.11"),
        (b"\r\na\n\rb\r\n", "550 5.6.11"),
        (b"\r\na\0b\r\n", "550 5.6.0"),
        (b"\r\n" + b"a" * MAX_BYTES + b"\r\n", "552 5.3.4"),
    ],
)
def test_a_message_that_can_not_be_canonical_is_refused(data: bytes, code: str) -> None:
    reply = canonical_message(data, MAX_BYTES, refuse_lone_lf=False)
    assert isinstance(reply, Reply)
    assert f"{reply.code} {reply.enhanced}" == code


LINE = b"X-A: " + b"a" * 57 + b"\r\n"  # 64 bytes
FULL = LINE * (MAX_HEADER_BYTES // len(LINE) - 1)


@pytest.mark.parametrize(
    ("raw", "fits"),
    [
        (FULL + b"\r\n" + b"a" * 100_000 + b"\r\n", True),
        (FULL + LINE + b"\r\n" + b"a" * 100_000 + b"\r\n", False),
        (FULL + LINE * 2, False),
        (LINE + b" folded\r\n" * 50_000, False),
        (b"X-A : " + b"a" * 400_000 + b"\r\n", False),
        (b"\r\n" + FULL * 2, True),
        (b"no field\r\n" + FULL * 2, True),
        (FULL + b"no field\r\n" + FULL, True),
        (b"a" * 400_000 + b"\r\n", True),
        (b": no name\r\n" * 50_000, True),
    ],
)
def test_a_header_has_its_limit_and_a_body_has_none(raw: bytes, fits: bool) -> None:
    answer = canonical_message(b"\r\n" + raw, 10**7, refuse_lone_lf=True)
    refused = Reply(552, "5.3.4", "The header is bigger than this server takes")
    assert answer == (raw if fits else refused)


def test_a_lone_lf_becomes_crlf_once_or_is_refused() -> None:
    data = b"\r\na\nb\r\n\n..\r\n"
    assert canonical_message(data, MAX_BYTES, refuse_lone_lf=False) == b"a\r\nb\r\n\r\n..\r\n"
    reply = canonical_message(data, MAX_BYTES, refuse_lone_lf=True)
    assert reply == Reply(550, "5.6.11", "A LF without CR is in the message")


async def test_a_line_longer_than_the_reader_holds_is_read_whole() -> None:
    line = b"x" * 90_000
    data, unread = await read_from(cut(line + b"\r\n.\r\nQUIT\r\n", 30_000))
    assert data == b"\r\n" + line + b"\r\n"
    assert unread == b"QUIT\r\n"


async def test_an_end_just_past_the_limit_is_found() -> None:
    for length in range(READ_LIMIT_BYTES - 8, READ_LIMIT_BYTES + 8):
        data, unread = await read_from([b"x" * length + b"\r\n.\r\nQUIT\r\n"])
        assert data == b"\r\n" + b"x" * length + b"\r\n"
        assert unread == b"QUIT\r\n"


async def test_too_much_is_read_to_its_end_and_not_kept() -> None:
    data, unread = await read_from(cut(b"x" * BIG_BYTES + b"\r\n.\r\nQUIT\r\n", 10_000))
    assert (data, unread) == (None, b"QUIT\r\n")


async def test_a_client_that_goes_before_the_dot_raises() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await read_from([b"half a mess"])


async def test_a_trickle_runs_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_GRACE_S", 0.01)
    reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
    reader.feed_data(b"x" * 10)
    with pytest.raises(TimeoutError):
        await read_data(reader, MAX_BYTES)


async def test_what_flows_has_time_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_GRACE_S", 0.02)
    monkeypatch.setattr(content, "_FLOOR_BYTES_PER_S", BIG_BYTES)
    reader = asyncio.StreamReader(limit=READ_LIMIT_BYTES)
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    loop.call_later(0.05, reader.feed_data, b"\r\n.\r\n")
    reader.feed_data(b"x" * (READ_LIMIT_BYTES * 4))
    data = await read_data(reader, BIG_BYTES)
    assert loop.time() - started_at > 0.04
    assert data is not None
    assert len(data) == READ_LIMIT_BYTES * 4 + 4
