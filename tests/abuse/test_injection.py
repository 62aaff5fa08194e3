"""Injection: no argument, header or reply brings a line of its own into ours.

The long form: `TALKS=300000 SEED=1 pytest -s tests/abuse/test_injection.py`.
"""

import asyncio
import email
import email.policy
import os
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger.address import Address
from ledger.mode import TrackingMode
from relay.deliver.wire import MAX_LINE_BYTES, Wire, WireError
from relay.dsn import Reporter, Undelivered, Unserved, write_bounce
from relay.intake import prepare_send
from relay.mail import Submission
from relay.policy import Policy
from relay.promise import Stored
from relay.reply import Reply

TALKS = int(os.environ.get("TALKS", "2000"))
SEED = int(os.environ.get("SEED", "1"))

POLICY = Policy("relay.test", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REPLY_LINE = re.compile(rb"[2-5]\d\d[ -][ -~]{0,507}")

POISON = (
    b"\r", b"\r\r", b"\0", b"\x1b[2J", b"\x08", b"\x0b", b"\x0c", b"\x7f", b"\x85", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xff", b"\xed\xa0\x80", b"\t", b" ", b"  ", b'"', b'\\"',
    b"\\", b"<", b">", b"<>", b"@", b":", b",", b"=", b"%0d%0a", b"\\r\\n", b"=?utf-8?q?=0D=0A?=",
    b"\xef\xbd\xa1", b"\xe5\x98\x8a\xe5\x98\x8d", b"Bcc: evil@evil.test", b"X-Evil: 1", b"(", b")",
    b"[127.0.0.1]", b"A" * 70, b"x" * 300, "é".encode(), b"SIZE=1", b"BODY=8BITMIME", b"SMTPUTF8",
    b"RCPT TO:<evil@evil.test>", b"ENVID=x", b"AUTH=<>", b"RET=HDRS", b"ORCPT=rfc822;a@b.test",
)  # fmt: skip
COMMANDS = (
    b"EHLO ", b"HELO ", b"MAIL FROM:", b"RCPT TO:", b"RSET ", b"NOOP ", b"DATA ", b"VRFY ", b"HELP",
    b"EXPN ", b"AUTH PLAIN ", b"STARTTLS ", b"XCLIENT ADDR=", b"XFORWARD NAME=", b"PROXY TCP4 ",
)  # fmt: skip
FIELDS = (b"Message-ID: ", b"Subject: ", b"X-Indicia-Tag: ", b"X-Indicia-Metadata-a: ", b"To: ")


def poisoned(dice: random.Random, plain: bytes) -> bytes:
    """The plain argument with something in, before or behind it; one line."""
    parts = [plain]
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(parts[0]) + 1)
        parts = [parts[0][:at], dice.choice(POISON), parts[0][at:], *parts[1:]]
        parts = [b"".join(parts)]
    return parts[0].replace(b"\n", b"")


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


class Talk:
    """One conversation with a session; every reply is looked at."""

    def __init__(self, session: Any) -> None:
        self.session, self.ear = session, Ear()
        session.connection_made(self.ear)

    async def say(self, said: bytes) -> bytes:
        """Say one line and return the code of its one reply; empty where it was closed."""
        self.session.data_received(said)
        for _ in range(200):
            await asyncio.sleep(0)
            if self.ear.heard.endswith(b"\n") or self.ear.closed:
                break
        heard = bytes(self.ear.heard)
        self.ear.heard.clear()
        lines = heard.split(b"\r\n")
        assert lines.pop() == b"", (said, heard)
        for line in lines:
            assert REPLY_LINE.fullmatch(line), (said, heard)
        assert sum(line[3:4] != b"-" for line in lines) == 1, (said, heard)
        return heard[:3]

    async def insist(self, command: bytes, plain: bytes, dice: random.Random) -> None:
        """Say a command with a poisoned argument, and where it is refused with a plain one."""
        if not (await self.say(command + poisoned(dice, plain) + b"\r\n")).startswith(b"2"):
            await self.say(command + plain + b"\r\n")

    async def mail(self, dice: random.Random) -> bytes:
        """Send one mail of which everything is poisoned; return what was sent as its content."""
        await self.say(b"")
        await self.say(dice.choice(COMMANDS) + poisoned(dice, b"a@b.test") + b"\r\n")
        await self.insist(dice.choice((b"EHLO ", b"HELO ")), b"client.test", dice)
        await self.say(b"RSET\r\n")
        await self.insist(b"MAIL FROM:", b"<ann@sender.test>", dice)
        for _ in range(dice.randrange(1, 4)):
            await self.insist(b"RCPT TO:", b"<bob@example.test>", dice)
        await self.say(b"DATA\r\n")
        fields = [field + poisoned(dice, b"<1@b.test>") for field in FIELDS]
        content = b"\r\n".join([*fields, b"", b"<p>Hello</p>", b""])
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\0", b"")
        content = content.replace(b"\n", b"\r\n")
        assert await self.say(content + b".\r\n") == b"250"
        return content

    async def leave(self) -> None:
        await self.say(b"QUIT\r\n")
        self.session.connection_lost(None)


@pytest.mark.slow
async def test_law_no_argument_of_a_command_gets_into_replies_headers_or_reports(
    open_desk: Any,
) -> None:
    """Law: whatever the client said, it is one field of lines of at most 998 printable characters.

    And each line that it says has one reply of one line, and its report is a report.
    """
    dice, arguments = random.Random(SEED), 0
    async with open_desk() as desk:
        for _ in range(TALKS):
            with capture_logs():
                talk = Talk(desk.new_session())
                content = await talk.mail(dice)
                await talk.leave()
            submission = desk.taken.pop()
            look_at_header(submission, content)
            await look_at_report(submission, dice)
            arguments += 9 + len(submission.envelope.recipients)
    assert not desk.taken
    print(f"{TALKS} talks, {arguments} arguments and replies")  # noqa: T201 - for docs/promises.md


def look_at_header(submission: Submission, content: bytes) -> None:
    """On the wire stand one Received of three lines and the fields that were sent, no other."""
    stored = prepare_send(submission, POLICY, 3)
    assert isinstance(stored, Stored)
    wire = stored.template.original
    received, _, rest = wire.partition(b"\r\nMessage-ID: ")
    lines = received.split(b"\r\n")
    assert len(lines) == 3
    assert lines[0].startswith(b"Received: from ")
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert all(re.fullmatch(rb"[\t -~]{1,998}", line) for line in lines)
    sent = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    kept = [line for line in sent if not line.startswith(b"X-Indicia-")]
    assert (b"Message-ID: " + rest).partition(b"\r\n\r\n")[0].split(b"\r\n") == kept
    for text in (stored.fact.message_id or "", *stored.fact.tags):
        assert len(text) <= 998


async def look_at_report(submission: Submission, dice: random.Random) -> None:
    """What a hostile upstream says is in the report, as text of the one field where it belongs."""
    stored = prepare_send(submission, POLICY, 3)
    assert isinstance(stored, Stored)
    sender = submission.envelope.sender
    if sender is None:
        return
    reply = await heard(poisoned(dice, b"550 5.1.1 " + poisoned(dice, b"no such user")))
    refused = submission.envelope.recipients
    raw = write_bounce(
        Undelivered(sender, NOW, stored.template.original, stored.fact.message_id),
        [Unserved(one, reply, "mx.example.test") for one in refused],
        Reporter("relay.test", "01ARZ3NDEKTSV4RRFFQ69G5FAV", NOW),
    )
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert (
        re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", raw.partition(b"rfc822-headers")[0]) is None
    )
    look_at_parts(raw, refused)


def look_at_parts(raw: bytes, refused: Sequence[Address]) -> None:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert {name.lower() for name in message} <= {
        "from", "to", "subject", "date", "message-id", "in-reply-to", "references",
        "auto-submitted", "mime-version", "content-type",
    }  # fmt: skip
    _text, status, header = message.iter_parts()
    assert header.get_content_type() == "text/rfc822-headers"
    # By compat32: no word of a delivery-status is an encoded one (RFC 2047 5).
    groups: Any = email.message_from_bytes(status_bytes(raw)).get_payload()
    assert status.get_content_type() == "message/delivery-status"
    assert isinstance(groups, list)
    assert len(groups) == 1 + len(refused)
    assert set(groups[0].keys()) == {"Reporting-MTA", "Arrival-Date"}
    for group, address in zip(groups[1:], refused, strict=True):
        assert group.keys() == [
            "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
            "Last-Attempt-Date",
        ]  # fmt: skip
        assert group["Action"] == "failed"
        if address.is_ascii:
            assert group["Final-Recipient"] == f"rfc822; {address}"


def status_bytes(raw: bytes) -> bytes:
    start = raw.index(b"Content-Type: message/delivery-status")
    return raw[start : raw.index(b"\r\n--=_", start)]


async def heard(line: bytes) -> Reply:
    """What our client makes of a line, or of there being none that it can read."""
    wire = Wire()
    wire.connection_made(Ear())
    wire.write(b"RCPT TO:<bob@example.test>")
    wire.data_received(line[: MAX_LINE_BYTES - 2] + b"\r\n")
    try:
        return await wire.reply(1)
    except WireError as error:
        return Reply(451, "4.4.2", str(error))


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@pytest.mark.slow
async def test_the_log_of_a_running_relay_has_one_printable_line_for_each_event(
    start_indicia: Callable[..., Any], speaker: Any, open_sink: Any, reached: Any
) -> None:
    dice = random.Random(SEED)
    evil = b"550-5.1.1 \x1b[31mno\r\n550 5.1.1 \x85\xe2\x80\xa8timestamp=now\x00 event=faked\r\n"
    async with open_sink({b"RCPT": evil}) as sink:
        running = start_indicia(
            f'[[upstream]]\nname = "sink"\nhost = "127.0.0.1"\nport = {sink.port}\ntls = "none"\n'
        )
        client = await speaker.open(running.smtp)
        await client.greet()
        sent = 40
        for number in range(sent):
            said = await client.address(b"ann@sender.test", b"bob%d@example.test" % number)
            assert said.startswith(b"354 ")
            named = b"=?utf-8?q?=0D=0A=1B=5B31mtimestamp=3Dnow=20event=3Dfaked=C2=85=E2=80=A8?="
            identity = dice.choice((b"a\x1b[2J", b"a\x0bb", b"\x08\x08", b"a\tb", named))
            header = b"Message-ID: <%s@b.test>\r\nSubject: %s\r\n\r\nx\r\n.\r\n" % (identity, named)
            assert (await client.ask(header)).startswith(b"250 ")
        await client.ask(b"X\x1b[2J\x0b event=faked\r\n")
        await client.ask(b"MAIL FROM:<\x1b\x85@b> \xe2\x80\xa8\r\n")
        await client.close()
        await reached(lambda: running.output().count("event=copy.failed") >= sent)
    written = (running.folder / "output.txt").read_bytes().decode()
    lines = [line for line in written.split("\n") if "level=" in line or "event=" in line]
    assert not [line for line in lines if CONTROL.search(line)]
    assert all(re.match(r"timestamp=\S+ level=\w+ event=[\w.]+ ", line) for line in lines)
    assert sum(" event=submission.accepted " in line for line in lines) == sent
    # The reports to the sender fail too, and are not reported.
    assert sent <= sum(" event=copy.failed " in line for line in lines) <= 2 * sent
    assert not [line for line in lines if re.search(r"(^| )event=faked", line.split('"')[0])]
