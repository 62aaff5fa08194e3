"""By its time the answer to an address does not tell whether that address has the mail.

SAMPLES says how many addresses are asked about, of all kinds together, by turns drawn anew each
round, by CLIENTS at a time.  After each one its client looks at the page, for what is done
afterwards for an address that is known may hold up who comes next.
"""

import asyncio
import os
import random
from math import sqrt
from statistics import fmean, variance
from time import perf_counter
from typing import Any
from urllib.parse import urlencode

import pytest

from collector.app import run_collector

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SAMPLES = int(os.environ.get("SAMPLES", "1200"))
CLIENTS = int(os.environ.get("CLIENTS", "4"))
MOST_T = 4.5
"""Of Welch's t; a difference that is none exceeds it once in 150,000 comparisons."""

COPY = 7
ASKED = {
    "known": "bob@example.org",
    "other": "eve@example.org",
    "unknown": "zoe@example.org",
    "none": "no address at all",
}
"""Who is asked about; `known` and `other` have the mail."""
HEAD = "Host: t.example.com\r\nConnection: close\r\nUser-Agent: Thing\r\n"


async def test_known_and_unknown_addresses_are_answered_alike(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One network asks thousands of times, which else is refused after twenty.
    monkeypatch.setattr("collector.recipient._PER_NETWORK", SAMPLES + 1)
    monkeypatch.setattr("collector.recipient._PER_PERSON", SAMPLES + 1)
    await house.send(COPY, (ASKED["known"], ASKED["other"]), "anonymous")
    page = house.pixel(COPY, anonymous=True).replace("/o/", "/w/").removesuffix(".gif")
    look = f"GET {page} HTTP/1.1\r\n{HEAD}\r\n".encode()
    asking = {kind: post(page, address) for kind, address in ASKED.items()}
    took: dict[str, list[float]] = {kind: [] for kind in ASKED}
    after: dict[str, list[float]] = {kind: [] for kind in ASKED}
    answers: set[bytes] = set()

    async def client(port: int, rounds: int, dice: random.Random) -> None:
        for number in range(rounds):
            for kind in dice.sample(list(ASKED), len(ASKED)):
                answer_s, answer = await exchange(port, asking[kind])
                look_s, _ = await exchange(port, look)
                if number:  # the first opens statements and files
                    took[kind].append(answer_s)
                    after[kind].append(look_s)
                answers.add(answer)

    async with (
        run_collector(house.settings, house.stores, house.keys) as ports,
        asyncio.TaskGroup() as clients,
    ):
        for number in range(CLIENTS):
            rounds = SAMPLES // len(ASKED) // CLIENTS
            clients.create_task(client(ports[0], rounds, random.Random(number)))
    assert len(answers) == 1
    for what, times in (("answer", took), ("the look after it", after)):
        told = {kind: welch_t(times["unknown"], times[kind]) for kind in times}
        print(  # noqa: T201 - the figure, by pytest -s
            f"\n{SAMPLES} samples, {what}: "
            + ", ".join(f"{kind} {fmean(some) * 1000:.3f} ms" for kind, some in times.items())
            + "; t beside unknown: "
            + ", ".join(f"{kind} {t:+.2f}" for kind, t in told.items())
        )
        assert max(map(abs, told.values())) < MOST_T, what


def post(page: str, address: str) -> bytes:
    body = urlencode({"act": "ask", "address": address.ljust(20)}).encode()
    kind = "application/x-www-form-urlencoded"
    fields = f"{HEAD}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"POST {page} HTTP/1.1\r\n{fields}\r\n".encode() + body


def welch_t(one: list[float], other: list[float]) -> float:
    apart = variance(one) / len(one) + variance(other) / len(other)
    return (fmean(one) - fmean(other)) / sqrt(apart)


async def exchange(port: int, request: bytes) -> tuple[float, bytes]:
    """Return how long an answer took, and the answer without its date."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = perf_counter()
    writer.write(request)
    raw = await reader.read()
    took = perf_counter() - began
    writer.close()
    await writer.wait_closed()
    lines = raw.split(b"\r\n")
    return took, b"\r\n".join(line for line in lines if not line.startswith(b"Date:"))
