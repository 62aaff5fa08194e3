import asyncio
import socket
import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.address import parse_address
from relay.accept.unheard import KEPT_S, Unheard
from relay.mail import Client, Envelope, Submission
from relay.reply import Reply

OK = Reply(250, "2.0.0", "OK 1")
RAW = b"Message-ID: <1@b.test>\r\n\r\nHello\r\n"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def submission(raw: bytes = RAW, sender: str = "a@b.test", to: str = "c@d.test") -> Submission:
    envelope = Envelope(parse_address(sender), tuple(map(parse_address, to.split())))
    client = Client("192.0.2.1", "x")
    return Submission("0" * 26, envelope, raw, datetime.now(UTC), client)


SENT = submission()


def test_what_was_not_heard_is_told_to_the_very_same_submission_once() -> None:
    unheard = Unheard()
    unheard.keep(submission(to="c@d.test e@f.test"), OK)
    again = replace(submission(to="e@f.test c@d.test"), send_id="1" * 26)
    assert unheard.take(again) == OK
    assert unheard.take(again) is None


@pytest.mark.parametrize(
    "other",
    [
        submission(RAW + b"more\r\n"),
        submission(RAW.replace(b"<1@", b"<2@")),
        submission(sender="x@b.test"),
        submission(to="c@d.test e@f.test"),
        submission(to="e@f.test"),
        replace(SENT, client=Client("192.0.2.2", "x")),
        replace(SENT, account="a@b.test"),
    ],
    ids=("body", "message_id", "sender", "more people", "other people", "client", "account"),
)
def test_law_another_message_is_taken_in(other: Submission) -> None:
    """Law: a message is answered without being taken in only if the very same one, from the same
    client and for the same people, was taken in within KEPT_S and its client did not hear of it.
    """
    unheard = Unheard()
    unheard.keep(SENT, OK)
    assert unheard.take(other) is None
    assert unheard.take(SENT) == OK


def test_a_refusal_is_not_kept_and_neither_is_what_has_no_message_id() -> None:
    unheard = Unheard()
    unheard.keep(SENT, Reply(451, "4.3.0", "Later"))
    assert unheard.take(SENT) is None
    nameless = submission(b"Subject: x\r\n\r\nMessage-ID: <1@b.test>\r\n")
    unheard.keep(nameless, OK)
    assert unheard.take(nameless) is None


def test_it_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.accept.unheard._MOST", 2)
    clock = Clock()
    unheard = Unheard(clock)
    unheard.keep(SENT, OK)
    clock.now_s += KEPT_S - 1
    others = [submission(RAW + b"%d\r\n" % number) for number in range(3)]
    for other in others:
        unheard.keep(other, OK)
    assert [unheard.take(one) for one in (SENT, *others)] == [None, None, OK, OK]
    unheard.keep(SENT, OK)
    clock.now_s += KEPT_S
    assert unheard.take(SENT) is None


class Slow:
    """A hub that takes its time."""

    def __init__(self) -> None:
        self.taken: list[Submission] = []
        self.begun, self.go_on, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, taken: Submission) -> Reply:
        self.begun.set()
        await self.go_on.wait()
        self.taken.append(taken)
        self.ended.set()
        return Reply(250, "2.0.0", f"OK {len(self.taken)}")


@pytest.mark.parametrize("reset", [True, False], ids=("reset", "closed"))
async def test_a_client_that_was_gone_before_its_answer_is_not_taken_at_its_word_twice(
    serve: Any, reset: bool
) -> None:
    hub = Slow()
    async with serve(hub) as server:
        first = await server.open()
        await first.address()
        first.say(RAW + b".\r\n")
        await hub.begun.wait()
        if reset:
            plug = first.writer.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await first.close()
        await wait_until_gone(server)
        hub.go_on.set()
        await hub.ended.wait()
        replies = [await send(server) for _ in range(2)]
    assert replies == [b"250 2.0.0 OK 1\r\n", b"250 2.0.0 OK 2\r\n"]
    assert len(hub.taken) == 2


async def test_who_has_heard_it_and_sends_the_same_again_means_it(serve: Any) -> None:
    async with serve() as server:
        for _ in range(2):
            assert (await send(server)).startswith(b"250 ")
        assert len(server.submissions) == 2


async def send(server: Any) -> bytes:
    speaker = await server.open()
    await speaker.address()
    reply: bytes = await speaker.ask(RAW + b".\r\n")
    await speaker.close()
    return reply


async def wait_until_gone(server: Any) -> None:
    while not server.sessions[0].gone:  # noqa: ASYNC110 - of the other side of a socket
        await asyncio.sleep(0.01)
