"""Sessions over real sockets: traps, limits, and how they end."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.accept import connection as accept
from relay.accept import door as door_module
from relay.accept.content import READ_LIMIT_BYTES
from relay.mail import Submission
from relay.reply import Reply

GREETING = b"220 relay.test ESMTP\r\n"
ENVELOPE = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
PATIENCE_S = 5

Serve = Callable[..., Any]


async def test_a_message_that_comes_byte_by_byte_is_taken(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.address()
        for byte in b"one line\r\n.\r\n":
            speaker.say(bytes([byte]))
            await speaker.writer.drain()
            await asyncio.sleep(0)
        assert await speaker.reader.readline() == b"250 2.0.0 OK 10\r\n"
        await speaker.close()


async def test_strangers_to_line_ends_make_us_hold_little(serve: Serve) -> None:
    async with serve(max_message_bytes=200_000) as server:
        speakers = [await server.open() for _ in range(5)]
        for speaker in speakers:
            await speaker.address()
            speaker.say(b"x" * 5_000_000)
        await asyncio.gather(*(speaker.writer.drain() for speaker in speakers))
        held = [len(session._reader._buffer) for session in server.sessions]
        assert max(held) <= 2 * READ_LIMIT_BYTES + 256 * 1024
        for speaker in speakers:
            expected = b"552 5.3.4 The message is bigger than this server takes\r\n"
            assert await speaker.ask(b"\r\n.\r\n") == expected
            await speaker.close()


async def test_a_command_without_end_is_refused_when_it_ends(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.greet()
        for length in (accept._MAX_COMMAND_BYTES + 1, 3 * READ_LIMIT_BYTES):
            said = b"NOOP " + b"x" * length + b"\r\n"
            assert await speaker.ask(said) == b"500 5.5.6 Command line too long\r\n"
        assert await speaker.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
        await speaker.close()


async def test_a_fault_of_ours_is_451_and_says_nothing_but_an_id(serve: Serve) -> None:
    async def fails(_submission: Submission) -> Reply:
        msg = "secret detail"
        raise RuntimeError(msg)

    with capture_logs() as logs:
        async with serve(fails) as server:
            speaker = await server.open()
            await speaker.address()
            reply = await speaker.ask(b"x\r\n.\r\n")
            assert reply.startswith(b"451 4.3.0 Could not be done, error ")
            assert await speaker.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
            await speaker.close()
    (failed,) = [line for line in logs if line["event"] == "session.failed"]
    assert failed["error_id"].encode() in reply
    assert failed["exc_info"]


NO_LINGER = struct.pack("ii", 1, 0)  # closing sends RST, as a machine does that was restarted


async def test_a_client_that_vanishes_after_the_dot_does_not_stop_the_commit(serve: Serve) -> None:
    begun, gate, committed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_submission: Submission) -> Reply:
        begun.set()
        await gate.wait()
        committed.set()
        return Reply(250, "2.0.0", "OK")

    async with serve(slow) as server:
        speaker = await server.open()
        await speaker.address()
        speaker.say(b"x\r\n.\r\n")
        await begun.wait()
        client = speaker.writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        speaker.writer.transport.abort()
        await server.sessions[0].ended.wait()
        gate.set()
        await committed.wait()


async def test_a_client_that_only_stops_sending_gets_all_its_replies(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.address()
        speaker.say(b"x\r\n.\r\n")
        speaker.writer.write_eof()
        assert await speaker.reader.read() == b"250 2.0.0 OK 3\r\n"
        await speaker.close()


async def test_a_client_that_goes_within_its_message_is_forgotten(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.address()
        speaker.say(b"half a mess")
        await speaker.close()
        await server.sessions[0].ended.wait()
        assert server.door.sessions == set()


async def test_one_who_is_too_many_is_told_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "_MAX_CONNECTIONS", 1)
    async with serve() as server:
        first, second = await server.open(), await server.open()
        await first.greet()
        assert await second.reader.read() == b"421 4.7.0 Too many connections\r\n"
        assert await first.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
        await second.close()
        await first.close()


async def test_too_many_errors_end_the_session(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.greet()
        for _ in range(accept._MAX_ERRORS - 1):
            assert await speaker.ask(b"XYZZY\r\n") == b"500 5.5.2 Command not recognized\r\n"
        assert await speaker.ask(b"XYZZY\r\n") == b"421 4.7.0 Too many errors\r\n"
        assert await speaker.reader.read() == b""
        await speaker.close()


async def test_commands_without_mail_end_the_session(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.greet()
        speaker.say(b"NOOP\r\n" * 200)
        said = await speaker.reader.read()
        assert said.endswith(b"421 4.7.0 Too many commands without mail\r\n")
        assert said.count(b"250 2.0.0 OK") == accept._MAX_JUNK - 1
        await speaker.close()


async def test_a_thousand_recipients_and_many_mails_are_no_junk(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.greet()
        recipients = b"".join(b"RCPT TO:<%d@d.test>\r\n" % number for number in range(1000))
        speaker.say(b"MAIL FROM:<a@b.test>\r\n" + recipients + b"DATA\r\n")
        await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        assert await speaker.ask(b"x\r\n.\r\n") == b"250 2.0.0 OK 3\r\n"
        for _ in range(accept._MAX_JUNK):
            speaker.say(ENVELOPE + b"DATA\r\n")
            await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
            assert await speaker.ask(b"x\r\n.\r\n") == b"250 2.0.0 OK 3\r\n"
        await speaker.close()


async def test_an_idle_client_is_told_and_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "IDLE_S", 0.02)
    async with serve() as server:
        speaker = await server.open()
        assert await speaker.reader.read() == GREETING + b"421 4.4.2 Timed out\r\n"
        await speaker.close()


async def test_a_client_that_does_not_read_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "IDLE_S", 0.2)
    monkeypatch.setattr(accept, "_MAX_JUNK", 10_000_000)
    async with serve() as server:
        speaker = await server.open()
        await speaker.greet()
        speaker.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a socket's
        for writer in (speaker.writer, server.sessions[0]._writer):
            end = writer.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        said = b"NOOP\r\n" * 10_000

        async def talk() -> None:
            while True:
                speaker.say(said)
                await speaker.writer.drain()

        talking = asyncio.ensure_future(talk())
        await server.sessions[0].ended.wait()
        talking.cancel()
        speaker.writer.transport.abort()


async def test_a_message_that_takes_too_long_ends_the_session(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.accept.content._GRACE_S", 0.02)
    async with serve() as server:
        speaker = await server.open()
        await speaker.address()
        speaker.say(b"x")
        assert await speaker.reader.read() == b"421 4.4.2 Timed out\r\n"
        await speaker.close()


async def test_a_message_that_flows_is_not_cut_by_the_idle_timer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "IDLE_S", 0.1)
    async with serve() as server:
        speaker = await server.open()
        await speaker.address()
        for _ in range(10):
            speaker.say(b"x")
            await asyncio.sleep(0.02)
        assert await speaker.ask(b"\r\n.\r\n") == b"250 2.0.0 OK 12\r\n"
        await speaker.close()


async def test_a_server_that_stops_sends_idle_clients_away_and_lets_a_transaction_end(
    serve: Serve,
) -> None:
    async with serve() as server:
        idle, busy = await server.open(), await server.open()
        await idle.greet()
        await busy.address()
        stopping = asyncio.ensure_future(server.door.empty(grace_s=PATIENCE_S))
        goodbye = b"421 4.3.2 This server is being stopped, come back\r\n"
        assert await idle.reader.read() == goodbye
        busy.say(b"x\r\n.\r\n")
        assert await busy.reader.read() == b"250 2.0.0 OK 3\r\n" + goodbye
        await stopping
        await idle.close()
        await busy.close()


async def test_a_client_that_does_not_end_is_cut_off_when_the_server_stops(serve: Serve) -> None:
    async with serve() as server:
        speaker = await server.open()
        await speaker.address()
        await server.door.empty(grace_s=0.01)
        assert server.door.sessions == set()
        speaker.writer.transport.abort()


async def test_no_reply_can_be_two(serve: Serve) -> None:
    async def hostile(_submission: Submission) -> Reply:
        return Reply(554, "5.6.0", "bad\r\n250 2.0.0 OK ü" + "x" * 600)

    async with serve(hostile) as server:
        speaker = await server.open()
        await speaker.address()
        reply = await speaker.ask(b"x\r\n.\r\n")
        assert reply.startswith(b"554 5.6.0 bad  250 2.0.0 OK ?xxx")
        assert len(reply) == accept._MAX_REPLY_BYTES
        await speaker.close()


async def test_a_submission_says_who_sent_what_to_whom(serve: Serve) -> None:
    got: list[Submission] = []

    async def keep(submission: Submission) -> Reply:
        got.append(submission)
        return Reply(250, "2.0.0", "OK")

    async with serve(keep) as server:
        speaker = await server.open()
        await speaker.greet()
        speaker.say(b"MAIL FROM:<> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<C@d.test>\r\nDATA\r\n")
        await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        await speaker.ask(b"x\r\n.\r\n")
        await speaker.close()
    (submission,) = got
    assert submission.envelope.sender is None
    assert [str(one) for one in submission.envelope.recipients] == ["C@d.test"]
    assert (submission.envelope.smtputf8, submission.envelope.body_8bit) == (True, True)
    assert (submission.client.ip, submission.client.helo, submission.client.tls) == (
        "127.0.0.1",
        "x",
        False,
    )
    assert submission.account is None
    assert submission.received_at.tzinfo is not None
    assert len(submission.send_id) == 26


async def test_limits_of_commands_are_not_shared_through_the_library(serve: Serve) -> None:
    # aiosmtpd keeps command_size_limits in one dict of the class and clears it at each connection.
    async with serve() as server:
        speaker = await server.open()
        await speaker.greet()
        await (await server.open()).close()
        name = b"x" * 63
        long_but_legal = b"MAIL FROM:<" + name + b"@" + b".".join([name] * 3) + b".test> SIZE=1"
        assert await speaker.ask(long_but_legal + b" " * 300 + b"\r\n") == b"250 2.1.0 OK\r\n"
        await speaker.close()


async def test_addresses_are_not_logged_by_the_library(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="mail.log"):
        async with serve() as server:
            speaker = await server.open()
            await speaker.address()
            await speaker.ask(b"x\r\n.\r\n")
            await speaker.close()
    assert "d.test" not in caplog.text
