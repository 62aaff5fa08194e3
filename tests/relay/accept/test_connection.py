"""TLS on real sockets: STARTTLS, from the first byte, and what is tried with either."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.accept.content import READ_LIMIT_BYTES

Serve = Callable[..., Any]
PATIENCE_S = 5


async def test_starttls_is_offered_in_the_clear_and_forgets_what_was_said(
    serve: Serve, files: Any
) -> None:
    async with serve(tls=files.tls) as server:
        speaker = await server.open()
        assert "STARTTLS" in await speaker.greet()
        assert await speaker.ask(b"MAIL FROM:<a@b.test>\r\n") == b"250 2.1.0 OK\r\n"
        await speaker.secure(files.client)
        # RFC 3207 4.2
        assert await speaker.ask(b"MAIL FROM:<a@b.test>\r\n") == b"503 5.5.1 Send EHLO first\r\n"
        assert "STARTTLS" not in await speaker.ehlo()
        assert await speaker.ask(b"RCPT TO:<c@d.test>\r\n") == b"503 5.5.1 Send MAIL first\r\n"
        assert await speaker.ask(b"STARTTLS\r\n") == b"503 5.5.1 TLS is in use already\r\n"
        speaker.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
        await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        body = b"x" * 300_000
        assert await speaker.ask(body + b"\r\n.\r\n") == b"250 2.0.0 OK 300002\r\n"
        assert await speaker.ask(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
        await speaker.close()
    (submission,) = server.submissions
    assert submission.client.tls


async def test_starttls_takes_no_argument_and_is_unknown_without_certificate(
    serve: Serve, files: Any
) -> None:
    async with serve(tls=files.tls) as server:
        speaker = await server.open()
        await speaker.greet()
        said = await speaker.ask(b"STARTTLS now\r\n")
        assert said == b"501 5.5.4 No argument is allowed\r\n"
        await speaker.close()
    async with serve() as server:
        speaker = await server.open()
        assert "STARTTLS" not in await speaker.greet()
        said = await speaker.ask(b"STARTTLS\r\n")
        assert said == b"502 5.5.1 Command not implemented\r\n"
        await speaker.close()


@pytest.mark.parametrize("bytes_more", [0, 3 * READ_LIMIT_BYTES])
async def test_commands_behind_starttls_in_one_packet_are_never_run(
    serve: Serve, files: Any, bytes_more: int
) -> None:
    # CVE-2024-34083, CVE-2011-0411. However much it is: the reader pauses what is too fast.
    injected = b"EHLO evil\r\nMAIL FROM:<evil@b.test>\r\nRCPT TO:<c@d.test>\r\nNOOP "
    async with serve(tls=files.tls) as server:
        speaker = await server.open()
        await speaker.greet()
        speaker.say(b"STARTTLS\r\n" + injected + b"x" * bytes_more + b"\r\n")
        assert await speaker.reader.readline() == b"220 2.0.0 Ready to start TLS\r\n"
        if bytes_more:
            # What had not arrived yet is no handshake.
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await speaker.writer.start_tls(files.client, server_hostname="localhost")
        else:
            await speaker.writer.start_tls(files.client, server_hostname="localhost")
            said = await speaker.ask(b"RCPT TO:<c@d.test>\r\n")
            assert said == b"503 5.5.1 Send MAIL first\r\n"
            said = await speaker.ask(b"MAIL FROM:<a@b.test>\r\n")
            assert said == b"503 5.5.1 Send EHLO first\r\n"
            await speaker.close()
        speaker.writer.transport.abort()
    assert server.submissions == []


async def test_what_comes_with_the_last_packet_of_the_handshake_is_heard(
    serve: Serve, files: Any
) -> None:
    # In TLS 1.3 a client may send its first command with its Finished.
    async with serve(tls=files.tls) as server:
        sock = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", server.port), 5)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = files.client.wrap_bio(incoming, outgoing, server_hostname="localhost")

        def speak() -> bytes:
            with sock, sock.makefile("rb") as clear:
                clear.readline()
                sock.sendall(b"STARTTLS\r\n")
                clear.readline()
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))
                tls.write(b"NOOP\r\n")
                sock.sendall(outgoing.read())
                while True:
                    try:
                        return tls.read(4096)
                    except ssl.SSLWantReadError:
                        incoming.write(sock.recv(65536))

        assert await asyncio.to_thread(speak) == b"250 2.0.0 OK\r\n"


async def test_a_handshake_that_fails_ends_the_connection_and_is_told(
    serve: Serve, files: Any
) -> None:
    with capture_logs() as logs:
        async with serve(tls=files.tls) as server:
            speaker = await server.open()
            await speaker.greet()
            assert (await speaker.ask(b"STARTTLS\r\n")).startswith(b"220 ")
            speaker.say(b"GET / HTTP/1.1\r\n\r\n")
            assert b"250" not in await speaker.reader.read()
            await server.sessions[0].ended.wait()
            await speaker.close()
    assert [line["client"] for line in logs if line["event"] == "tls.failed"] == ["127.0.0.1"]


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_client_that_vanishes_within_the_handshake_is_forgotten(
    serve: Serve, files: Any, implicit: bool
) -> None:
    async with serve(tls=replace(files.tls, implicit=implicit)) as server:
        speaker = await server.open()
        if not implicit:
            await speaker.greet()
            await speaker.ask(b"STARTTLS\r\n")
        speaker.say(b"\x16\x03\x01\x02\x00\x01")
        await speaker.writer.drain()
        await speaker.close()
        await server.sessions[0].ended.wait()
        assert server.door.sessions == set()


async def test_a_stop_ends_a_handshake(serve: Serve, files: Any) -> None:
    async with serve(tls=replace(files.tls, implicit=True)) as server:
        speaker = await server.open()
        while not server.door.sessions:  # noqa: ASYNC110 - it comes in within a few turns
            await asyncio.sleep(0)
        await server.door.empty(grace_s=0.01)
        assert server.door.sessions == set()
        await speaker.close()


async def test_implicit_tls_begins_with_the_first_byte(serve: Serve, files: Any) -> None:
    async with serve(tls=replace(files.tls, implicit=True)) as server:
        speaker = await server.open(files.client)
        offers = await speaker.greet()
        assert "STARTTLS" not in offers
        assert await speaker.ask(b"STARTTLS\r\n") == b"503 5.5.1 TLS is in use already\r\n"
        await speaker.close()


async def test_implicit_tls_says_nothing_in_the_clear(
    serve: Serve, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(tls=replace(files.tls, implicit=True)) as server:
        speaker = await server.open()
        speaker.say(b"EHLO x\r\n")
        assert b"220" not in await speaker.reader.read()
        await speaker.close()
        monkeypatch.setattr("relay.accept.door._MAX_CONNECTIONS", 0)
        speaker = await server.open()
        assert await speaker.reader.read() == b""
        await speaker.close()


@pytest.mark.parametrize("implicit", [False, True])
async def test_less_than_tls_1_2_is_refused(
    serve: Serve, issue: Callable[[], Any], implicit: bool
) -> None:
    from relay.accept.certificate import load_context  # noqa: PLC0415 - the real context
    from relay.accept.connection import Tls  # noqa: PLC0415

    files = issue()
    context = load_context(files.certificate, files.private_key)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serve(tls=Tls(lambda: context, implicit=implicit)) as server:
        if implicit:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await server.open(old)
        else:
            speaker = await server.open()
            await speaker.greet()
            await speaker.ask(b"STARTTLS\r\n")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await speaker.writer.start_tls(old, server_hostname="localhost")
            speaker.writer.transport.abort()


async def test_under_tls_strangers_to_line_ends_make_us_hold_little(
    serve: Serve, files: Any
) -> None:
    async with serve(tls=files.tls, max_message_bytes=200_000) as server:
        speaker = await server.open()
        await speaker.greet()
        await speaker.secure(files.client)
        await speaker.ehlo()
        speaker.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
        await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        held = 0
        for _ in range(50):
            speaker.say(b"x" * 100_000)
            await speaker.writer.drain()
            held = max(held, len(server.sessions[0]._reader._buffer))
        assert held <= 2 * READ_LIMIT_BYTES + 512 * 1024
        said = await speaker.ask(b"\r\n.\r\n")
        assert said == b"552 5.3.4 The message is bigger than this server takes\r\n"
        await speaker.close()
