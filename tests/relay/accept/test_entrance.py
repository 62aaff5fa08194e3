"""Who comes through a proxy, on real sockets."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

Serve = Callable[..., Any]
HERE = ("127.0.0.0/8",)
GREETING = b"220 relay.test ESMTP\r\n"


async def test_a_listed_proxy_is_believed_byte_by_byte(serve: Serve) -> None:
    async with serve(proxies=HERE, trusted_networks=(ip_network("192.0.2.0/24"),)) as server:
        speaker = await server.open()
        for byte in b"PROXY TCP4 192.0.2.1 198.51.100.1 4000 25\r\nEHLO":
            speaker.say(bytes([byte]))
            await speaker.writer.drain()
            await asyncio.sleep(0)
        assert await speaker.reader.readline() == GREETING
        speaker.say(b" x\r\n")
        await speaker.reader.readuntil(b"250 ENHANCEDSTATUSCODES\r\n")
        assert await speaker.ask(b"MAIL FROM:<a@b.test>\r\n") == b"250 2.1.0 OK\r\n"
        (session,) = server.sessions
        assert (str(session.peer), session.trusted) == ("192.0.2.1", True)
        await speaker.close()


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (b"PROXY UNKNOWN\r\n", None),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"),
    ],
)
async def test_whom_the_proxy_does_not_know_is_a_stranger_and_itself_is_itself(
    serve: Serve, header: bytes, peer: str | None
) -> None:
    async with serve(proxies=HERE) as server:
        speaker = await server.open()
        assert await speaker.ask(header) == GREETING
        (session,) = server.sessions
        assert session.trusted is (peer is not None)
        assert session.peer is None or str(session.peer) == peer
        await speaker.close()


@pytest.mark.parametrize("said", [b"EHLO x\r\n", b"PROXY nonsense\r\n", b"\r\n\r\nQUIT"])
async def test_a_listed_proxy_without_header_is_cut_off(serve: Serve, said: bytes) -> None:
    with capture_logs() as logs:
        async with serve(proxies=HERE) as server:
            speaker = await server.open()
            speaker.say(said)
            with suppress(ConnectionResetError):
                assert await speaker.reader.read() == b""
            speaker.writer.transport.abort()
            assert server.sessions == []
    assert [line["event"] for line in logs] == ["proxy.refused"]


async def test_a_header_that_does_not_come_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.accept.entrance._HEADER_S", 0.02)
    with capture_logs() as logs:
        async with serve(proxies=HERE) as server:
            speaker = await server.open()
            speaker.say(b"PROXY TCP4 ")
            with suppress(ConnectionResetError):
                assert await speaker.reader.read() == b""
            speaker.writer.transport.abort()
    assert [line["reason"] for line in logs] == ["it did not come"]


async def test_a_proxy_that_goes_before_its_header_is_forgotten(serve: Serve) -> None:
    with capture_logs() as logs:
        async with serve(proxies=HERE) as server:
            speaker = await server.open()
            speaker.say(b"PROXY")
            await speaker.close()
            other = await server.open()
            assert await other.ask(b"PROXY UNKNOWN\r\n") == GREETING
            await other.close()
    assert logs == []


async def test_who_is_no_listed_proxy_speaks_for_himself(serve: Serve) -> None:
    async with serve(proxies=("192.0.2.9/32",)) as server:
        speaker = await server.open()
        assert await speaker.reader.readline() == GREETING
        said = await speaker.ask(b"PROXY TCP4 192.0.2.1 198.51.100.1 4000 25\r\n")
        assert said == b"500 5.5.2 Command not recognized\r\n"
        assert str(server.sessions[0].peer) == "127.0.0.1"
        await speaker.close()


async def test_limits_look_at_the_address_that_the_proxy_names(serve: Serve) -> None:
    header = b"PROXY TCP4 %s 198.51.100.1 4000 25\r\n"
    async with serve(proxies=HERE, trusted_networks=()) as server:
        speakers = [await server.open() for _ in range(52)]
        for speaker in speakers[:50]:
            assert await speaker.ask(header % b"192.0.2.1") == GREETING
        said = await speakers[50].ask(header % b"192.0.2.1")
        assert said == b"421 4.7.0 Too many connections\r\n"
        assert await speakers[51].ask(header % b"192.0.2.2") == GREETING
        for speaker in speakers:
            await speaker.close()
