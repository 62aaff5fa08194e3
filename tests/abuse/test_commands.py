"""Commands that no mail program sends: not served, too long, too many, or not waited for."""

import asyncio
import contextlib
import tracemalloc
from typing import Any

import pytest

ENVELOPE = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<victim@d.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
MB = 1024 * 1024


@pytest.mark.parametrize(
    "asked",
    [
        b"BDAT 120 LAST\r\n" + ENVELOPE,
        b"BDAT 0 LAST\r\n" + ENVELOPE,
        b"BDAT 99999999999999999999 LAST\r\n" + ENVELOPE,
        b"bdat\r\n" + ENVELOPE,
        b"BURL imap://relay.test/inbox;uid=1 LAST\r\n" + ENVELOPE,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + ENVELOPE,
        b"POST / HTTP/1.1\r\n\r\n" + ENVELOPE,
        b"CONNECT 127.0.0.1:25 HTTP/1.1\r\n\r\n" + ENVELOPE,
    ],
    ids=lambda asked: asked.split(b"\r\n")[0].decode(),
)
async def test_what_follows_a_stream_that_is_not_served_becomes_no_command(
    open_desk: Any, speaker: Any, asked: bytes
) -> None:
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        for line in (b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n"):
            assert (await client.ask(line)).startswith(b"250 ")
        client.say(asked)
        assert (await client.reply()).startswith(b"502 5.5.1 ")
        # The rest is not read; the closed socket may say so with a reset.
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        await client.close()
        assert desk.taken == []


@pytest.mark.parametrize("name", [b"root", b"postmaster", b"nobody-of-this-name", b"<a@b.test>"])
async def test_who_is_here_is_told_to_nobody(open_desk: Any, speaker: Any, name: bytes) -> None:
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        greeting = await client.greet()
        assert not any(verb in greeting for verb in (b"VRFY", b"EXPN", b"CHUNKING", b"XCLIENT"))
        for verb in (b"VRFY ", b"EXPN "):
            said = await client.ask(verb + name + b"\r\n")
            assert said == b"502 5.5.1 Command not implemented\r\n"
        await client.close()


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
async def test_a_command_line_of_30_mb_costs_no_memory(
    open_desk: Any, speaker: Any, end: bytes
) -> None:
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        block = b"NOOP " + b"x" * (MB - 5)
        tracemalloc.start()
        for _ in range(30):
            client.say(block)
            await client.writer.drain()
        said = await client.ask(end)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert said.startswith(b"500 5.5.6 ")
        assert peak_bytes < 6 * MB
        assert await client.ask(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
        await client.close()


async def test_of_10_000_recipients_the_first_are_served_and_the_others_told_to_come_again(
    open_desk: Any, speaker: Any
) -> None:
    """RFC 5321 4.5.3.1.10: 452, and the mail goes to those who were taken."""
    async with open_desk(max_recipients=1000) as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        await client.ask(b"MAIL FROM:<a@b.test>\r\n")
        codes = []
        for number in range(10_000):
            said = await client.ask(b"RCPT TO:<r%d@d.test>\r\n" % number)
            codes.append(said[:9])
            if not said.startswith((b"250", b"452")):
                break
        assert codes[:1000] == [b"250 2.1.5"] * 1000
        assert set(codes[1000:-1]) == {b"452 4.5.3"}
        assert codes[-1] == b"421 4.7.0", "who goes on for ever is sent away"
        assert len(codes) == 2099
        assert desk.taken == []
        await client.close()


async def test_a_client_with_too_many_recipients_gets_its_mail_through_in_parts(
    open_desk: Any, speaker: Any
) -> None:
    async with open_desk(max_recipients=1000) as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        waiting = list(range(1900))
        while waiting:
            await client.ask(b"MAIL FROM:<a@b.test>\r\n")
            client.say(b"".join(b"RCPT TO:<r%d@d.test>\r\n" % number for number in waiting))
            said = [(await client.reply())[:3] for _ in waiting]
            waiting = [number for number, code in zip(waiting, said, strict=True) if code == b"452"]
            assert (await client.ask(b"DATA\r\n")).startswith(b"354 ")
            assert (await client.ask(b"x\r\n.\r\n")).startswith(b"250 ")
        await client.close()
        assert [len(one.envelope.recipients) for one in desk.taken] == [1000, 900]


@pytest.mark.parametrize(
    "flood",
    [b"NOOP\r\n", b"RSET\r\n", b"\r\n", b"X\r\n", b"MAIL FROM:<a@b.test>\r\n", b"\0\r\n", b"\n"],
)
async def test_a_flood_is_cut_off(open_desk: Any, speaker: Any, flood: bytes) -> None:
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        client.say(flood * 50_000)
        try:
            said = await client.rest()
        except ConnectionResetError:
            said = b""
        assert said.count(b"\r\n") <= 101
        assert not said or said.splitlines()[-1].startswith(b"421 4.7.0 ")
        await client.close()


async def test_a_client_that_does_not_read_is_not_written_to(open_desk: Any, speaker: Any) -> None:
    """RCPT of the same recipient is never too much; only what is read is answered."""
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        await client.ask(b"MAIL FROM:<a@b.test>\r\n")
        client.writer.transport.pause_reading()
        flood = b"RCPT TO:<c@d.test>\r\n" * 1000
        for _ in range(1000):
            client.say(flood)
            try:
                async with asyncio.timeout(0.2):
                    await client.writer.drain()
            except TimeoutError:
                break
        else:
            pytest.fail("20 MB of commands were answered into nowhere")
        (session,) = desk.door.sessions
        assert session._writer.transport.get_write_buffer_size() < MB
        assert len(session._reader._buffer) < MB
        client.writer.transport.abort()


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"EHLO x\r\nMAIL FROM:<a@b.test>\r\n", b"554 5.5.0 "),
        (b"HELO x\r\nNOOP\r\n", b"554 5.5.0 "),
    ],
)
async def test_who_does_not_wait_for_the_answer_is_sent_away(
    open_desk: Any, speaker: Any, said: bytes, answered: bytes
) -> None:
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        client.say(said)
        await client.reply()
        assert (await client.reply()).startswith(answered)
        assert await client.rest() == b""
        await client.close()


async def test_content_before_354_is_no_mail(open_desk: Any, speaker: Any) -> None:
    async with open_desk() as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        client.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n" + ENVELOPE)
        said = await client.rest()
        assert said.splitlines()[-1].startswith(b"554 5.5.0 ")
        await client.close()
        assert desk.taken == []
