"""By its time a pixel's answer does not tell whether it was recorded.

SAMPLES says how many requests, of all kinds together, by turns drawn anew each round.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from math import sqrt
from statistics import fmean, variance
from time import perf_counter
from typing import Any

import pytest

from collector.journal import Journal
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.story import RecordedHit

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SAMPLES = int(os.environ.get("SAMPLES", "1200"))
CLIENTS = int(os.environ.get("CLIENTS", "8"))
MOST_T = 4.5
"""Of Welch's t; a difference that is none exceeds it once in 150,000 comparisons."""

GOOD, WITHDRAWN, UNKNOWN = 7, 8, 9
HEAD = b"Host: t.example.com\r\nUser-Agent: Thing\r\n\r\n"


async def test_good_withdrawn_unknown_and_forged_pixels_are_answered_alike(served: Any) -> None:
    await ask_for_all_kinds(served, SAMPLES)


async def test_they_are_answered_alike_on_a_disk_that_is_slow(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, written = random.Random(1), Journal._write

    async def write(journal: Journal, batch: Sequence[RecordedHit]) -> AbstractSet[str]:
        await asyncio.sleep(0.15 * dice.random() if batch else 0)
        return await written(journal, batch)

    monkeypatch.setattr(Journal, "_write", write)
    await ask_for_all_kinds(served, SAMPLES // 4)


async def ask_for_all_kinds(served: Any, samples: int) -> None:
    """Fail where the answer, or its time, tells one kind of pixel from a good one."""
    await served.send(GOOD)
    await served.send(WITHDRAWN, ("away@example.org",))
    async with served.stores.ledger.write() as connection:
        denial = ConsentTold(Consent.DENIED, datetime.now(UTC), Method.OTHER, "operator")
        await tell_consent(connection, parse_subject("away@example.org"), denial)
    good = served.pixel(GOOD)
    targets = {
        "good": good,
        "withdrawn": served.pixel(WITHDRAWN),
        "unknown": served.pixel(UNKNOWN),
        "forged": good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:],
        "cut": "/o/x.gif",
    }
    took: dict[str, list[float]] = {kind: [] for kind in targets}
    answers: set[bytes] = set()

    async def client(rounds: int, dice: random.Random) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for number in range(rounds):
            for kind in dice.sample(list(targets), len(targets)):
                began = perf_counter()
                writer.write(b"GET " + targets[kind].encode() + b" HTTP/1.1\r\n" + HEAD)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(43)
                if number:  # the first opens statements and files
                    took[kind].append(perf_counter() - began)
                date = head.index(b"Date: ")
                answers.add(head[:date] + head[head.index(b"\r\n", date) :] + body)
        writer.close()

    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(client(samples // len(targets) // CLIENTS, random.Random(number)))
    assert len(answers) == 1
    told = {kind: welch_t(took["good"], took[kind]) for kind in targets if kind != "good"}
    print(  # noqa: T201 - the figure, by pytest -s
        f"\n{samples} samples: "
        + ", ".join(f"{kind} {fmean(some) * 1000:.3f} ms" for kind, some in took.items())
        + "; t beside good: "
        + ", ".join(f"{kind} {t:+.2f}" for kind, t in told.items())
    )
    assert max(map(abs, told.values())) < MOST_T


def welch_t(one: list[float], other: list[float]) -> float:
    apart = variance(one) / len(one) + variance(other) / len(other)
    return (fmean(one) - fmean(other)) / sqrt(apart)
