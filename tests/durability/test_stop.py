"""A relay is stopped, or its client goes away: nothing is lost, nothing is sent twice."""

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.durability.mailing import Clients, fault_of, mail, recipients_of, submit
from tests.durability.relays import Relay, running_parent, write_configuration
from tests.durability.sink import Sink, running_sink
from tests.ports import free_port

pytestmark = pytest.mark.crash

STOPS = int(os.environ.get("TEST_STOPS", "10"))
GONE = int(os.environ.get("TEST_CLIENTS_GONE", "50"))
LONGEST_STOP_S = 30.0
SEED = 20261124


async def until_finished(sink: Sink, promised: dict[int, str], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        wanted = [one for number in promised for one in recipients_of(number)]
        while not all(map(sink.finished, wanted)):  # noqa: ASYNC110 - the sink is asked
            await asyncio.sleep(0.05)


async def test_stops_under_load_lose_nothing_and_send_nothing_twice(tmp_path: Path) -> None:
    smtp, dice = free_port(), random.Random(SEED)
    longest_s = 0.0
    with running_parent() as parent:
        async with running_sink() as sink:
            sink.answer_s = 0.01
            write_configuration(tmp_path, smtp, sink.port)
            relay, clients = Relay(parent, tmp_path, smtp), Clients(smtp)
            try:
                clients.start(8)
                for _ in range(STOPS):
                    await relay.start()
                    await asyncio.sleep(dice.uniform(0.1, 1))
                    begin = time.monotonic()
                    assert await relay.stop(LONGEST_STOP_S) == 0
                    longest_s = max(longest_s, time.monotonic() - begin)
                await relay.start()
                await clients.stop()
                await until_finished(sink, clients.promised, 60)
                assert await relay.stop(LONGEST_STOP_S) == 0
            finally:
                relay.kill()
    twice = [one for one, raws in sink.got.items() if "@example" in one and len(raws) != 1]
    wrong = [
        one
        for number in clients.promised
        for one in recipients_of(number)
        if one in sink.got and fault_of(sink.got[one][0], number)
    ]
    assert (twice, wrong) == ([], [])
    assert {reply[:4] for reply in clients.refused} <= {b"421 "}
    print(  # noqa: T201 - the figure, by pytest -s
        f"{STOPS} stops, {len(clients.promised)} mails: 0 lost, 0 twice; the longest took"
        f" {longest_s:.2f} s"
    )


async def test_a_mail_whose_client_went_before_its_250_is_delivered_once_if_at_all(
    tmp_path: Path,
) -> None:
    """Its client sends it again: that is the known window, as short as a commit (test_power)."""
    smtp = free_port()
    numbers = range(3, 3 + 10 * GONE, 10)
    with running_parent() as parent:
        async with running_sink() as sink:
            write_configuration(tmp_path, smtp, sink.port)
            relay = Relay(parent, tmp_path, smtp)
            try:
                await relay.start()
                for number in numbers:
                    await leave_after_the_dot(smtp, number)
                # What comes after them is delivered after them.
                reply, send_id = await submit(smtp, 1003, mail(1003))
                assert reply.startswith(b"250")
                await until_finished(sink, {1003: send_id}, 30)
                assert await relay.stop(LONGEST_STOP_S) == 0
            finally:
                relay.kill()
    times = Counter(len(sink.got[f"to-{number}@example.test"]) for number in numbers)
    print(f"{GONE} clients gone after the dot: {times[1]} mails delivered, {times[0]} not taken")  # noqa: T201
    assert set(times) <= {0, 1}
    assert times[1]
    wrong = (
        fault_of(raw, number) for number in numbers for raw in sink.got[f"to-{number}@example.test"]
    )
    assert not any(wrong)


async def leave_after_the_dot(port: int, number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    recipients = [f"RCPT TO:<{one}>" for one in recipients_of(number)]
    for words in ("", "EHLO client.test", "MAIL FROM:<ann@sender.test>", *recipients, "DATA"):
        if words:
            writer.write(f"{words}\r\n".encode())
        while (await reader.readline())[3:4] == b"-":
            pass
    writer.write(mail(number) + b".\r\n")
    await writer.drain()
    await asyncio.sleep(number % 7 / 1000)
    writer.transport.abort()
