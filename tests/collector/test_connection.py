"""Connections as a client sees them, on both kinds of loop."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from time import monotonic
from typing import Any

import pytest
import uvloop

from collector.answer import GIF, NOT_FOUND, PIXEL, Answer
from collector.listening import Place, listen
from collector.request import Request
from config.kinds import Endpoint

FIELDS = b"Host: t.example.com\r\nUser-Agent: Thing\r\n"
SECONDS = 10.0


class Desk:
    """Answers with the pixel, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.held: asyncio.Event | None = None
        self.at = asyncio.Event()

    async def take(self, request: Request) -> Answer:
        self.asked.append(request)
        self.at.set()
        if self.held is not None:
            await self.held.wait()
        if request.target == "/fault":
            raise ZeroDivisionError
        return NOT_FOUND if request.target == "/none" else PIXEL


Talk = Callable[[Desk, asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def hold(request: pytest.FixtureRequest) -> Callable[[Talk], Desk]:
    """Hold a talk with a listening desk."""

    async def run(talk: Talk) -> Desk:
        desk = Desk()
        place = Place([Endpoint("127.0.0.1", 0)])
        async with listen(place, desk.take) as (port,), asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with closing(writer):
                await talk(desk, reader, writer)
        return desk

    def start(talk: Talk) -> Desk:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(run(talk))

    return start


Hold = Callable[[Talk], Desk]


def plain(target: bytes = b"/o/x.gif", more: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + FIELDS + more + b"\r\n"


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), head, await reader.readexactly(length)


def test_requests_on_a_kept_connection_are_answered_in_their_order(hold: Hold) -> None:
    async def talk(_: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(plain())
        assert (await answer(reader))[0] == 200
        writer.write(plain(b"/a") + plain(b"/none") + plain(b"/c"))
        assert [(await answer(reader))[0] for _ in range(3)] == [200, 404, 200]
        writer.write(plain(b"/d", b"Connection: close\r\n"))
        assert b"Connection: close" in (await answer(reader))[1]
        assert await reader.read() == b""

    asked = hold(talk).asked
    assert [one.target for one in asked] == ["/o/x.gif", "/a", "/none", "/c", "/d"]
    assert {(one.method, str(one.client)) for one in asked} == {("GET", "127.0.0.1")}


def test_a_head_in_pieces_is_one_request(hold: Hold) -> None:
    async def talk(desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = plain()
        for at in range(0, len(raw), 7):
            assert desk.asked == []
            writer.write(raw[at : at + 7])
            await asyncio.sleep(0)
        assert (await answer(reader))[2] == GIF

    assert hold(talk).asked[0].headers == {"host": "t.example.com", "user-agent": "Thing"}


def test_what_comes_while_one_is_answered_is_bounded_and_answered_after(hold: Hold) -> None:
    async def talk(desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        desk.held = asyncio.Event()
        writer.write(plain() * 300)
        await desk.at.wait()
        assert len(desk.asked) == 1
        desk.held.set()
        for _ in range(300):
            assert (await answer(reader))[0] == 200

    assert len(hold(talk).asked) == 300


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (plain().replace(b"GET", b"HEAD"), 200),
        (plain().replace(b"GET", b"OPTIONS"), 200),
        (plain(more=b"X-A: \xe9\r\n"), 200),
        (b"\r\n" + plain(), 200),
        (plain().replace(b"1.1", b"1.0"), 200),
        (plain(more=b"Expect: 100-continue\r\n"), 200),
        (plain(more=b"Content-Length: 5\r\n") + b"hello", 400),
        (plain(more=b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 400),
        (plain(more=b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 400),
        (plain(more=b"Content-Length: 5\r\nContent-Length: 6\r\n") + b"hello!", 400),
        (plain(b"/" + b"x" * 9_000), 400),
        (plain(more=b"X: " + b"x" * 9_000 + b"\r\n"), 400),
        (plain(more=b"".join(b"X-%d: 1\r\n" % n for n in range(200))), 400),
        (plain().replace(b"\r\n", b"\n"), 400),
        (plain().replace(b"Host: ", b"Host : "), 400),
        (plain().replace(b"Host", b"Guest"), 400),
        (b"GET\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
    ],
)
def test_the_unusual_is_answered_by_aiohttp_and_ends_the_connection(
    hold: Hold, raw: bytes, status: int
) -> None:
    async def talk(_: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        told = await reader.read()
        assert int(told.split()[1]) == status
        assert b"connection: close" in told.lower() or told.startswith(b"HTTP/1.0")

    asked = hold(talk).asked
    assert len(asked) == (status == 200)


def test_a_form_reaches_the_desk(hold: Hold) -> None:
    async def talk(_: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(more=b"Content-Length: 9\r\n").replace(b"GET", b"POST") + b"act=")
        await asyncio.sleep(0)
        writer.write(b"leave")
        assert (await answer(reader))[0] == 200

    (asked,) = hold(talk).asked
    assert (asked.method, asked.body) == ("POST", b"act=leave")


def test_a_fault_is_answered_and_the_log_has_it(
    hold: Hold, capfd: pytest.CaptureFixture[str]
) -> None:
    async def talk(_: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(b"/fault"))
        assert (await answer(reader))[0] == 500
        assert await reader.read() == b""

    hold(talk)
    assert "request.failed" in "".join(capfd.readouterr())


def test_who_sends_its_request_and_no_more_gets_the_answer(hold: Hold) -> None:
    async def talk(_: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(plain())
        writer.write_eof()
        assert (await answer(reader))[0] == 200
        assert await reader.read() == b""

    hold(talk)


def test_half_a_head_and_no_more_ends_the_connection(hold: Hold) -> None:
    async def talk(_: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(plain()[:-2])
        writer.write_eof()
        assert await reader.read() == b""

    assert hold(talk).asked == []


def test_a_client_that_goes_does_not_stop_what_is_under_way(hold: Hold) -> None:
    async def talk(desk: Desk, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        desk.held = asyncio.Event()
        writer.write(plain())
        await desk.at.wait()
        writer.transport.abort()
        desk.held.set()

    assert len(hold(talk).asked) == 1


async def test_at_the_end_the_answer_under_way_is_still_given() -> None:
    desk = Desk()
    desk.held = asyncio.Event()
    async with (
        asyncio.timeout(SECONDS),
        listen(Place([Endpoint("127.0.0.1", 0)]), desk.take) as (port,),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        silent, idle = await asyncio.open_connection("127.0.0.1", port)
        writer.write(plain())
        await desk.at.wait()
        asyncio.get_running_loop().call_later(0.05, desk.held.set)
    assert (await answer(reader))[0] == 200
    assert await silent.read() == b""
    writer.close()
    idle.close()


async def test_slow_and_silent_clients_do_not_keep_a_good_one_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.listening.MAX_CONNECTIONS", 20)
    desk, place = Desk(), Place([Endpoint("127.0.0.1", 0)])
    async with asyncio.timeout(SECONDS), listen(place, desk.take) as (port,):
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        for number, (_, writer) in enumerate(slow):
            writer.write(plain()[: number % 30])
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(plain(more=b"Connection: close\r\n"))
            assert (await answer(reader))[0] == 200
            writer.close()
        ended = [reader for reader, _ in slow if reader.at_eof() or reader.exception()]
        assert len(ended) >= 40
        for _, writer in slow:
            writer.close()


async def test_a_head_that_does_not_end_is_waited_for_so_long_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.door.HEAD_S", 0.1)
    monkeypatch.setattr("collector.listening.LOOK_S", 0.02)
    async with (
        asyncio.timeout(SECONDS),
        listen(Place([Endpoint("127.0.0.1", 0)]), Desk().take) as (port,),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = monotonic()
        for byte in plain():
            if reader.at_eof() or reader.exception():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        assert reader.at_eof() or reader.exception()
        assert 0.1 < monotonic() - began < 0.4
        writer.close()


async def test_where_one_address_can_not_be_listened_on_the_others_are_closed() -> None:
    async with listen(Place([Endpoint("127.0.0.1", 0)]), Desk().take) as (port,):
        free, taken = Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", port)
        with pytest.raises(OSError, match="in use"):
            async with listen(Place([free, taken]), Desk().take):
                pass


async def test_sockets_that_were_opened_for_it_are_listened_on() -> None:
    opened = socket.create_server(("127.0.0.1", 0))
    place = Place([Endpoint("192.0.2.1", 1)], sockets=[opened])
    async with asyncio.timeout(SECONDS), listen(place, Desk().take) as (port,):
        assert port == opened.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(plain())
        assert (await answer(reader))[0] == 200
        writer.close()
