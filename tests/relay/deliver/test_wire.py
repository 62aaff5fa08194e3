"""The client side of SMTP over a transport that the test holds."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.deliver.wire import MAX_LINE_BYTES, MAX_TEXT, Wire, WireError
from relay.reply import Reply


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def wire(transport: Transport) -> Wire:
    wire = Wire()
    wire.connection_made(transport)
    return wire


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"250 2.1.0 ok\r\n", Reply(250, "2.1.0", "ok")),
        (b"250 ok\n", Reply(250, "", "ok")),
        (b"250\r\n", Reply(250, "", "")),
        (b"250 2.1.0\r\n", Reply(250, "2.1.0", "")),
        (b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", Reply(550, "5.1.1", "no such user")),
        (b"550-5.1.1 no\r\n550 such user\r\n", Reply(550, "5.1.1", "no such user")),
        (b"550 2.1.0 odd\r\n", Reply(550, "", "2.1.0 odd")),
        (b"550 5.1.1000 odd\r\n", Reply(550, "", "5.1.1000 odd")),
        (b"550 a\0b\x1b[31m\tc\r\n", Reply(550, "", "a b [31m c")),
        (b"550 caf\xc3\xa9 \xff\r\n", Reply(550, "", "café \N{REPLACEMENT CHARACTER}")),
        (b"550 " + b"x" * 4000 + b"\r\n", Reply(550, "", "x" * MAX_TEXT)),
    ],
)
async def test_a_reply_is_read(wire: Wire, said: bytes, expected: Reply) -> None:
    wire.write(b"NOOP")
    wire.data_received(said)
    assert await wire.reply(1) == expected
    assert wire.usable


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"\r\n",
        b"250-a\r\n251 b\r\n",
        b"250-a\r\n" * 101,
        b"x" * (MAX_LINE_BYTES + 1),
        b"250 " + b"x" * MAX_LINE_BYTES + b"\r\n",
    ],
)
async def test_what_is_no_reply_breaks_the_connection(
    wire: Wire, transport: Transport, said: bytes
) -> None:
    wire.write(b"NOOP")
    wire.data_received(said)
    with pytest.raises(WireError):
        await wire.reply(1)
    assert transport.closed
    assert not wire.usable


@given(st.lists(st.integers(1, 30), max_size=40))
async def test_replies_may_come_in_any_pieces(cuts: list[int]) -> None:
    wire = Wire()
    wire.connection_made(Transport())
    said = b"250-2.1.0 sender\r\n250 2.1.0 ok\r\n451 4.2.1 later\r\n354 go on\r\n"
    wire.write(b"MAIL", b"RCPT", b"DATA")
    for cut in cuts:
        wire.data_received(said[:cut])
        said = said[cut:]
    wire.data_received(said)
    assert [str(await wire.reply(1)) for _ in range(3)] == [
        "250 2.1.0 sender ok",
        "451 4.2.1 later",
        "354 go on",
    ]


async def test_what_is_not_answered_in_time_breaks_the_connection(
    wire: Wire, transport: Transport
) -> None:
    wire.write(b"NOOP")
    with pytest.raises(WireError, match=r"no reply within 0\.01 s"):
        await wire.reply(0.01)
    assert transport.closed


async def test_nothing_is_written_to_a_lost_connection(wire: Wire, transport: Transport) -> None:
    wire.connection_lost(ConnectionResetError("reset"))
    with pytest.raises(WireError, match="reset"):
        wire.write(b"NOOP")
    with pytest.raises(WireError, match="reset"):
        await wire.reply(1)
    assert transport.written == b""


async def test_nothing_is_written_to_a_closing_connection(wire: Wire, transport: Transport) -> None:
    transport.closed = True
    with pytest.raises(WireError, match="was closed"):
        wire.write(b"NOOP")


async def test_a_reply_before_the_content_is_the_answer(wire: Wire, transport: Transport) -> None:
    wire.write(b"DATA")
    wire.data_received(b"354 go on\r\n552 5.3.4 too big\r\n")
    assert (await wire.reply(1)).code == 354
    assert await wire.write_content(b"x\r\n", 1) is False
    assert (await wire.reply(1)).code == 552
    assert transport.written == b"DATA\r\n"
    assert not wire.usable


@pytest.mark.parametrize("block", [1, 2, 3])
async def test_a_reply_amid_the_content_stops_it_without_the_full_stop(
    wire: Wire, transport: Transport, block: int
) -> None:
    write, written = transport.write, 0

    def answered(data: Any) -> None:
        nonlocal written
        written += 1
        write(data)
        if written == block:
            wire.data_received(b"451 4.3.0 no room\r\n")

    transport.write = answered  # type: ignore[method-assign] # the server answers in between
    assert await wire.write_content(b"x" * 65_536 * 2 + b"\r\n", 1) is False
    assert written == block
    assert not transport.written.endswith(b".\r\n")


async def test_quit_closes_when_it_is_answered_or_not(wire: Wire, transport: Transport) -> None:
    wire.quit(0.01)
    wire.quit(0.01)
    assert transport.written == b"QUIT\r\n"
    assert not wire.usable
    wire.data_received(b"221 bye\r\n")
    assert transport.closed
    silent, other = Wire(), Transport()
    silent.connection_made(other)
    silent.quit(0.01)
    async with asyncio.timeout(2):
        while not other.closed:  # noqa: ASYNC110 - until the clock of the loop has gone on
            await asyncio.sleep(0.005)


async def test_what_comes_after_a_fault_is_not_kept(wire: Wire) -> None:
    wire.write(b"NOOP")
    wire.data_received(b"junk\r\n")
    wire.data_received(b"y" * 1_000_000)
    assert len(wire._buffer) < 100


async def test_a_connection_never_made_can_be_left(wire: Wire) -> None:
    fresh = Wire()
    fresh.quit(1)
    fresh.abort()
    assert not fresh.usable
    assert wire.usable
