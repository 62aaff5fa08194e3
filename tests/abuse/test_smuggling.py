"""Smuggling: one message in is one message out, whatever its bytes and whoever reads it.

The long form: `STREAMS=1000000 SEED=1 pytest -s tests/abuse/test_smuggling.py`.
"""

import asyncio
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger.mode import TrackingMode
from ledger.token import TokenKey
from relay.intake import prepare_send
from relay.mail import Submission
from relay.policy import Policy
from relay.promise import Stored
from relay.stamp import stamp_copy

STREAMS = int(os.environ.get("STREAMS", "20000"))
SEED = int(os.environ.get("SEED", "1"))

LINE_ENDS = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r"}
FORMS = {
    f"{before}.{after}": LINE_ENDS[before] + b"." + LINE_ENDS[after]
    for before, after in product(LINE_ENDS, LINE_ENDS)
}
END = FORMS["CRLF.CRLF"]
SECOND = (
    b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<victim@victim.test>\r\nDATA\r\n"
    b"From: boss@victim.test\r\n\r\nsmuggled\r\n"
)
HEADER = b"From: a@b.test\r\nTo: c@d.test\r\nContent-Type: text/html\r\n\r\n"
# An end of data to the most lenient receiver there is, and what such a one may take for it.
LENIENT_END = re.compile(rb"(?:\r\n|\n|\r)\.(?:\r\n|\n|\r)")


def stuffed(content: bytes) -> bytes:
    """The content as a front server sends it that believes in CRLF alone (RFC 5321 4.5.2)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]


@pytest.fixture(params=["normalize", "refuse"])
def bare_lf(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("form", list(FORMS.values()), ids=FORMS)
async def test_a_form_of_the_end_ends_what_it_ends_and_nothing_else(
    open_desk: Any, speaker: Any, bare_lf: str, form: bytes
) -> None:
    """The attacker writes the dot himself; his front server has passed it on as it was."""
    async with open_desk(refuse_lone_lf=bare_lf == "refuse") as desk:
        client = await speaker.open(desk.port)
        await client.greet()
        await client.address(b"a@b.test", b"c@d.test")
        client.say(HEADER + b"one" + form + SECOND + END)
        first = await client.reply()
        if form == END:
            # What follows are commands, for there the data has ended to everybody.
            assert first.startswith(b"250 ")
            assert [desk.taken[0].raw] == [HEADER + b"one\r\n"]
            await client.close()
            return
        assert await client.ask(b"QUIT\r\n") == b"221 2.0.0 Bye\r\n"
        await client.close()
        lenient = bare_lf == "normalize" and b"\r" not in form.replace(b"\r\n", b"")
        assert first.startswith(b"250 " if lenient else b"550 5.6.11 ")
        assert len(desk.taken) == lenient
        for submission in desk.taken:
            assert str(submission.envelope.sender) == "a@b.test"
            assert b"smuggled" in submission.raw
            assert LENIENT_END.search(wire_bytes(submission)[0][:-5] + b"|") is None


KEY = TokenKey(3, b"k" * 32)
POLICY = Policy("relay.test", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL)


def wire_bytes(submission: Submission) -> list[bytes]:
    """What our client writes after the 354, for each copy: the content and the full stop."""
    stored = prepare_send(submission, POLICY, KEY.key_id)
    assert isinstance(stored, Stored)
    return [stamp_copy(stored.template, copy, KEY) + b".\r\n" for copy in stored.copies]


PIECES = (
    b"\r", b"\n", b"\r\n", b".", b"..", b"\r\n.", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n",
    b"\r\n.\r", b"\r.\r\n", b"\r\r\n.\r\r\n", b"\n\r.\n\r", b"\0", b"\r\n\0.\r\n", b"a", b"x" * 70,
    b"\x85", b"\x0b", b"\x0c", b"\xe2\x80\xa8", b"\x1a", b"\xff\xfe", b"=\r\n", b"=0D=0A.=0D=0A",
    b'<a href="https://e.test/x">y</a>', b"</body>", b"DATA\r\n", b"BDAT 9 LAST\r\n", SECOND,
    b"MAIL FROM:<evil@evil.test>\r\n", b"RCPT TO:<victim@victim.test>\r\n", b"QUIT\r\n",
)  # fmt: skip
HEADERS = (
    HEADER,
    HEADER.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
    HEADER.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
    b"",
    b".: x\r\n.y\r\n\r\n",
)


def random_content(dice: random.Random) -> bytes:
    """A message of hostile pieces; half of them without what is refused at once."""
    pieces = dice.choices(PIECES, k=dice.randrange(12))
    if dice.random() < 0.1:
        pieces.append(dice.randbytes(dice.randrange(60)))
    content = dice.choice(HEADERS) + b"".join(pieces)
    if dice.random() < 0.6:
        content = content.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"")
        if dice.random() < 0.5:
            content = content.replace(b"\n", b"\r\n")
    return content


def chunks(dice: random.Random, data: bytes) -> Iterator[bytes]:
    """The data as a network may cut it: often just around a dot."""
    start = 0
    while start < len(data):
        size = dice.choice((1, 2, 3, 7, 60, 5000))
        yield data[start : start + size]
        start += size


class Ear(asyncio.Transport):
    """A network without a network: what the session writes is kept."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.heard = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.heard += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


async def until(reached: Callable[[], Any]) -> None:
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0)
    pytest.fail("the session hangs")


def ends(ear: Ear, last: bytes) -> bool:
    return ear.heard.endswith(last)


async def front_sends(ear: Ear, session: Any, sent: tuple[random.Random, bytes]) -> int:
    """Send one transaction as an honest front server does; return the code of its only answer."""
    dice, content = sent
    ear.heard.clear()
    session.data_received(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
    await until(lambda: b"354 " in ear.heard)
    del ear.heard[:]
    end = b".\r\n" if content.endswith(b"\r\n") or not content else END
    for chunk in chunks(dice, stuffed(content) + end):
        assert not ear.heard, (content, bytes(ear.heard))
        session.data_received(chunk)
        if dice.random() < 0.2:
            await asyncio.sleep(0)
    await until(lambda: ear.heard.endswith(b"\r\n"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert ear.heard.count(b"\r\n") == 1, (content, bytes(ear.heard))
    assert not ear.closed, content
    return int(ear.heard[:3])


def strict_receiver(stream: bytes) -> list[bytes]:
    """Read the messages of an SMTP content stream by the letter: written for this test alone."""
    messages: list[bytes] = []
    lines: list[bytes] = []
    line = bytearray()
    for position, byte in enumerate(stream):
        line.append(byte)
        if byte == 10:
            assert stream[position - 1] == 13, "a lone LF is on the wire"
            if line == b".\r\n":
                messages.append(b"".join(lines))
                lines = []
            else:
                lines.append(bytes(line[1:]) if line[0] == 46 else bytes(line))
            line.clear()
        elif len(line) > 1 and line[-2] == 13:
            pytest.fail("a lone CR is on the wire")
    assert not lines, "something is left over"
    assert not line, "something is left over"
    return messages


def look_at_the_wire(submission: Submission) -> int:
    """Return how many copies leave; each is one message."""
    wires = wire_bytes(submission)
    for wire in wires:
        (content,) = strict_receiver(wire)
        assert b"\0" not in content
        assert LENIENT_END.search(wire).end() == len(wire)  # type: ignore[union-attr] # the full stop is one
    return len(wires)


@pytest.mark.slow
async def test_no_form_of_the_end_is_smuggled_through_the_whole_relay(
    relay: Any, speaker: Any, open_sink: Any, reached: Any, bare_lf: str
) -> None:
    """A real relay between a client and an upstream that reads by the letter."""
    last = b"From: a@b.test\r\n\r\nlast\r\n"
    async with (
        open_sink() as sink,
        relay(relay={"bare_lf": bare_lf}, upstream=[sink.upstream]) as (port, _),
    ):
        client = await speaker.open(port)
        await client.greet()
        taken = 0
        for content in (*(HEADER + b"one" + form + SECOND for form in FORMS.values()), last):
            assert (await client.address(b"a@b.test", b"c@d.test")).startswith(b"354 ")
            answer = await client.ask(stuffed(content) + b".\r\n")
            assert answer.startswith((b"250 ", b"550 5.6.11 ")), content
            taken += answer.startswith(b"250 ")
        await client.close()
        await reached(lambda: len(sink.contents) >= taken)
    assert taken == (5 if bare_lf == "normalize" else 2)
    assert len(sink.contents) == len(sink.recipients) == taken
    assert set(sink.recipients) == {b"c@d.test"}
    for wire in sink.contents:
        assert len(strict_receiver(wire)) == 1
        assert wire.count(b"\n") == wire.count(b"\r\n") == wire.count(b"\r")
        assert LENIENT_END.search(wire).end() == len(wire)  # type: ignore[union-attr] # the full stop is one
    assert not any(b"evil" in line or b"victim" in line for line in sink.lines)


@pytest.mark.slow
async def test_law_only_crlf_dot_crlf_ends_the_data_over_random_byte_streams(
    open_desk: Any,
) -> None:
    """Law: only CRLF.CRLF ends the data, whatever the bytes before it and however they arrive.

    Messages out are messages in: each has one answer, is taken as what it was or refused, and what
    leaves for it is one message to a strict receiver and to the most lenient.
    """
    taken = refused = copies = 0
    for number in range(0, STREAMS, 100):
        dice = random.Random(f"{SEED}-{number}")
        refuse = dice.random() < 0.3
        async with open_desk(refuse_lone_lf=refuse) as desk, quiet():
            session, ear = desk.new_session(), Ear()
            session.connection_made(ear)
            session.data_received(b"EHLO front.test\r\n")
            await until(partial(ends, ear, b"250 ENHANCEDSTATUSCODES\r\n"))
            for _ in range(100):
                content = random_content(dice)
                code = await front_sends(ear, session, (dice, content))
                assert code in (250, 550), content
                refused += code == 550
                assert len(desk.taken) == (code == 250), content
                while desk.taken:
                    submission = desk.taken.pop()
                    assert str(submission.envelope.sender) == "a@b.test"
                    assert plain(submission.raw) == plain(content + b"\r\n" * (not ended(content)))
                    copies += look_at_the_wire(submission)
                    taken += 1
            session.data_received(b"QUIT\r\n")
            await until(partial(ends, ear, b"221 2.0.0 Bye\r\n"))
            session.connection_lost(None)
    assert taken + refused == (STREAMS + 99) // 100 * 100
    assert min(taken, refused) > STREAMS // 10, "the streams are too tame to mean anything"
    print(f"{taken + refused} streams, {taken} taken, {refused} refused, {copies} copies")  # noqa: T201 - for docs/promises.md


@asynccontextmanager
async def quiet() -> AsyncIterator[None]:
    """Keep the lines of refusals off the terminal."""
    with capture_logs():
        yield


def ended(content: bytes) -> bool:
    return content.endswith(b"\r\n") or not content


def plain(content: bytes) -> bytes:
    """Content but for the one change that is allowed."""
    return content.replace(b"\r\n", b"\n")
