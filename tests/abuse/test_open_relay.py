"""The open-relay matrix: who is no friend relays nothing, however he writes the address."""

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import pytest

FRIEND, STRANGER = "127.0.0.1", "127.0.0.2"
"""Both are addresses of this machine; only the first is a trusted network here."""

SENDERS = (
    b"<>", b"<a@b.test>", b"<root@relay.test>", b"<postmaster@relay.test>", b"<a@[127.0.0.1]>",
    b"<victim@victim.test>", b"<MAILER-DAEMON@relay.test>", b"<@relay.test:a@b.test>",
)  # fmt: skip

RECIPIENTS: tuple[tuple[bytes, str | None], ...] = (
    # As written, and as whom the relay hands on for a friend; None: refused even to him.
    (b"<victim@victim.test>", "victim@victim.test"),
    (b"<victim%victim.test@relay.test>", "victim%victim.test@relay.test"),
    (b"<victim%victim.test>", None),
    (b"<victim%victim.test@[127.0.0.1]>", "victim%victim.test@[127.0.0.1]"),
    (b"<@relay.test:victim@victim.test>", "victim@victim.test"),
    (b"<@relay.test,@other.test:victim@victim.test>", "victim@victim.test"),
    (b"<@relay.test:victim%victim.test@relay.test>", "victim%victim.test@relay.test"),
    (b"<victim@victim.test@relay.test>", None),
    (b'<"victim@victim.test">', None),
    (b'<"victim@victim.test"@relay.test>', '"victim@victim.test"@relay.test'),
    (b'<"victim%victim.test"@relay.test>', '"victim%victim.test"@relay.test'),
    (b'<"victim"@victim.test>', '"victim"@victim.test'),
    (b"<victim.test!victim>", None),
    (b"<victim.test!victim@relay.test>", "victim.test!victim@relay.test"),
    (b"<relay.test!victim.test!victim@[127.0.0.1]>", "relay.test!victim.test!victim@[127.0.0.1]"),
    (b"<victim@[127.0.0.1]>", "victim@[127.0.0.1]"),
    (b"<victim@[IPv6:::1]>", "victim@[ipv6:::1]"),
    (b"<victim@[192.0.2.1]>", "victim@[192.0.2.1]"),
    (b"<victim@127.0.0.1>", "victim@127.0.0.1"),
    (b"<victim@localhost>", "victim@localhost"),
    (b"<victim@victim.test.>", None),
    (b"<victim:victim.test>", None),
    (b"<|/bin/sh@relay.test>", "|/bin/sh@relay.test"),
    (b"<postmaster>", "postmaster@relay.test"),
    (b"<Postmaster@relay.test>", "Postmaster@relay.test"),
    (b"<postmaster@victim.test>", "postmaster@victim.test"),
    (b"<abuse>", None),
    (b"<>", None),
    (b"victim@victim.test", None),
    (b"<victim@victim.test> NOTIFY=SUCCESS", None),
    (b"<victim@victim.test> ORCPT=rfc822;x@y.test", None),
    (b"<victim@victim.test>,<other@victim.test>", None),
    (b"<victim@victim.test><other@victim.test>", None),
    (b"<a@b.test>\rRCPT TO:<victim@victim.test>", None),
    (b"<victim@vic\0tim.test>", None),
)
CLAIMS = (
    b"EHLO [127.0.0.1]", b"EHLO localhost", b"EHLO relay.test", b"HELO 127.0.0.1",
    b"XCLIENT ADDR=127.0.0.1", b"XFORWARD ADDR=127.0.0.1", b"AUTH EXTERNAL =", b"AUTH ANONYMOUS",
    b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25", b"MAIL FROM:<a@b.test> AUTH=<friend@relay.test>",
)  # fmt: skip


def spelled(recipient: bytes) -> str:
    return recipient.decode("ascii", "backslashreplace")


@pytest.fixture
def friends_only() -> dict[str, Any]:
    return {"trusted_networks": (ip_network(f"{FRIEND}/32"),)}


@dataclass
class Tally:
    """What the matrix comes to."""

    tried: int = 0
    relayed: int = 0


async def attack(desk: Any, speaker: Any, tally: Tally, lines: list[bytes]) -> None:
    """Say all that it takes to send a mail, whatever is answered."""
    client = await speaker.open(desk.port, STRANGER)
    await client.reply()
    for line in (*lines, b"DATA"):
        said = await client.ask(line + b"\r\n")
        if said.startswith(b"354"):
            said = await client.ask(b"From: a@b.test\r\n\r\nspam\r\n.\r\n")
            tally.relayed += said.startswith(b"2")
        assert not (said.startswith(b"2") and line.startswith((b"MAIL", b"RCPT", b"DATA"))), lines
        if not said:
            break
    tally.tried += 1
    await client.close()


async def test_a_stranger_relays_nothing_in_any_spelling(
    open_desk: Any, speaker: Any, friends_only: Any
) -> None:
    tally = Tally()
    async with open_desk(**friends_only) as desk:
        for sender in SENDERS:
            for recipient, _ in RECIPIENTS:
                lines = [b"EHLO x", b"MAIL FROM:" + sender, b"RCPT TO:" + recipient]
                await attack(desk, speaker, tally, lines)
        assert (tally.tried, tally.relayed) == (len(SENDERS) * len(RECIPIENTS), 0)
        assert desk.taken == []


@pytest.mark.parametrize("claim", CLAIMS, ids=bytes.decode)
async def test_what_a_stranger_claims_makes_him_no_friend(
    open_desk: Any, speaker: Any, friends_only: Any, claim: bytes
) -> None:
    tally = Tally()
    mail = [b"MAIL FROM:<a@b.test>", b"RCPT TO:<victim@victim.test>"]
    async with open_desk(**friends_only) as desk:
        for lines in ([claim, b"EHLO x", *mail], [b"EHLO x", claim, *mail], [b"EHLO x", *mail]):
            await attack(desk, speaker, tally, lines)
        assert (tally.tried, tally.relayed, desk.taken) == (3, 0, [])


async def test_a_stranger_is_told_why_at_mail(
    open_desk: Any, speaker: Any, friends_only: Any
) -> None:
    async with open_desk(**friends_only) as desk:
        client = await speaker.open(desk.port, STRANGER)
        await client.greet()
        said = await client.ask(b"MAIL FROM:<a@b.test>\r\n")
        assert said.startswith((b"550 5.7.1 ", b"530 5.7.0 "))
        await client.close()


@pytest.mark.parametrize(
    ("recipient", "handed_on"), RECIPIENTS, ids=[spelled(one) for one, _ in RECIPIENTS]
)
async def test_a_friend_s_address_is_handed_on_as_written_or_refused(
    open_desk: Any, speaker: Any, friends_only: Any, recipient: bytes, handed_on: str | None
) -> None:
    """Nobody here reads `%` or `!`: the upstream gets what was written, and may refuse it."""
    async with open_desk(**friends_only) as desk:
        client = await speaker.open(desk.port, FRIEND)
        await client.greet()
        await client.ask(b"MAIL FROM:<a@b.test>\r\n")
        said = await client.ask(b"RCPT TO:" + recipient + b"\r\n")
        if handed_on is None:
            assert said.startswith(b"5")
        else:
            assert said == b"250 2.1.5 OK\r\n"
            await client.ask(b"DATA\r\n")
            assert (await client.ask(b"x\r\n.\r\n")).startswith(b"250 ")
            (submission,) = desk.taken
            assert [str(one) for one in submission.envelope.recipients] == [handed_on]
        await client.close()


@pytest.mark.daemon
@pytest.mark.parametrize(
    "words",
    [
        ["--to", "victim@victim.test"],
        ["--to", "victim%victim.test@relay.test"],
        ["--to", '"victim@victim.test"@relay.test'],
        ["--to", "postmaster", "--from", "<>"],
        ["--to", "victim@victim.test", "--ehlo", "127.0.0.1"],
        ["--to", "victim@victim.test", "--xclient", "ADDR=127.0.0.1"],
        ["--to", "victim@victim.test", "--xclient-addr", "127.0.0.1", "--xclient-optional"],
        ["--to", "victim@victim.test", "--proxy", "TCP4 127.0.0.1 127.0.0.1 1 25"],
        ["--to", "victim@victim.test", "--pipeline"],
    ],
    ids=" ".join,
)
async def test_swaks_gets_nothing_through(
    relay: Any, open_sink: Any, words: list[str], reached: Any
) -> None:
    swaks = shutil.which("swaks")
    if swaks is None:
        pytest.skip("needs swaks (Debian package swaks)")
    trusted = {"trusted_networks": [f"{FRIEND}/32"]}
    async with (
        open_sink() as sink,
        relay(relay=trusted, upstream=[sink.upstream]) as (port, _),
    ):
        for address, relays in ((STRANGER, False), (FRIEND, True)):
            line = [swaks, "--server", "127.0.0.1", "--port", str(port), "--timeout", "10"]
            line += ["--local-interface", address, "--from", "a@b.test", *words]
            done = await asyncio.to_thread(
                subprocess.run, line, capture_output=True, text=True, timeout=30, check=False
            )
            if not relays:
                assert done.returncode != 0, done.stdout
                assert sink.contents == []
        # The same words of a friend do something, where they ask for nothing that there is not.
        if not {"--xclient", "--proxy"} & set(words):
            assert done.returncode == 0, done.stdout
            await reached(lambda: sink.contents)
