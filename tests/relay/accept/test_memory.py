"""Big messages take turns, and small ones never wait for them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accept import memory as memory_module
from relay.accept.memory import SMALL_BYTES, Memory, Share
from relay.reply import Reply

BIG = 3 * SMALL_BYTES
PUT_OFF = b"452 4.3.1 Too many big messages at once, try later\r\n"

Serve = Callable[..., Any]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20 * SMALL_BYTES))))
def test_never_more_is_kept_than_may_be(steps: list[tuple[int, int]]) -> None:
    """Law: what is kept beyond the small beginning of each is never more than `most_bytes`."""
    memory = Memory(most_bytes=10 * SMALL_BYTES)
    shares = [Share(memory) for _ in range(5)]
    kept = [0] * 5
    for which, size in steps:
        if not size:
            shares[which].give_back()
            kept[which] = 0
        elif shares[which].grow(size):
            kept[which] = max(kept[which], size - SMALL_BYTES)
        assert memory.taken_bytes == sum(kept) <= memory.most_bytes
    for share in shares:
        share.give_back()
    assert memory.taken_bytes == 0


async def test_a_big_message_waits_until_another_has_gone() -> None:
    memory = Memory(most_bytes=BIG)
    async with memory.share(BIG) as first:
        assert first is not None
        turn = memory.share(BIG)
        waiting = asyncio.ensure_future(turn.__aenter__())
        async with memory.share(SMALL_BYTES) as small:
            assert small is not None
        await asyncio.sleep(0)
        assert not waiting.done()
    second = await asyncio.wait_for(waiting, 5)
    assert second is not None
    assert memory.taken_bytes == BIG - SMALL_BYTES
    await turn.__aexit__(None, None, None)
    assert memory.taken_bytes == 0


async def test_who_waits_too_long_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_WAIT_S", 0.01)
    memory = Memory(most_bytes=BIG)
    async with memory.share(BIG + SMALL_BYTES), memory.share(BIG) as share:
        assert share is None
    assert memory.taken_bytes == 0


async def test_the_biggest_message_there_may_be_fits() -> None:
    memory = Memory(300 * SMALL_BYTES)
    async with memory.share(400 * SMALL_BYTES) as share:
        assert share is not None


async def send(server: Any, content: bytes) -> bytes:
    speaker = await server.open()
    await speaker.greet()
    said = f"MAIL FROM:<a@b.test> SIZE={len(content)}\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
    speaker.say(said.encode())
    await speaker.reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")
    answer: bytes = await speaker.ask(content + b".\r\n")
    await speaker.close()
    return answer


async def test_of_many_that_send_big_messages_at_once_few_are_kept_and_all_are_taken(
    serve: Serve,
) -> None:
    memory = Memory(most_bytes=4 * SMALL_BYTES)
    line = b"x" * 998 + b"\r\n"
    content = b"Subject: x\r\n\r\n" + line * (BIG // len(line))
    under_way: list[int] = []

    async def take_in(submission: Any) -> Reply:
        under_way.append(memory.taken_bytes)
        await asyncio.sleep(0)
        return Reply(250, "2.0.0", f"OK {len(submission.raw)}")

    async with serve(take_in, memory=memory) as server:
        answers = await asyncio.gather(*(send(server, content) for _ in range(12)))
    assert set(answers) == {b"250 2.0.0 OK %d\r\n" % len(content)}
    assert max(under_way) <= memory.most_bytes
    assert memory.taken_bytes == 0


async def test_one_that_is_bigger_than_was_said_is_read_to_its_end_and_put_off(
    serve: Serve,
) -> None:
    memory = Memory(most_bytes=SMALL_BYTES)
    async with serve(memory=memory) as server:
        speaker = await server.open()
        await speaker.address()
        assert await speaker.ask(b"x\r\n" * SMALL_BYTES + b".\r\n") == PUT_OFF
        assert memory.taken_bytes == 0
        assert await send(server, b"small\r\n") == b"250 2.0.0 OK 7\r\n"
        await speaker.close()


async def test_a_client_that_goes_away_takes_nothing_along(serve: Serve) -> None:
    memory = Memory(most_bytes=4 * SMALL_BYTES)
    async with serve(memory=memory) as server:
        speaker = await server.open()
        await speaker.address()
        speaker.say(b"x" * BIG)
        while not memory.taken_bytes:  # noqa: ASYNC110 - it is in the sockets' buffers
            await asyncio.sleep(0.001)
        await speaker.close()
        await server.sessions[0].ended.wait()
    assert memory.taken_bytes == 0
