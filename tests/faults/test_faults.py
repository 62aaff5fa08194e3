"""An upstream with every fault there is: nothing is lost, nothing is sent twice.

The long form: `RECIPIENTS=20000 SEED=1 pytest -s tests/faults/test_faults.py`.
"""

import asyncio
import email
import os
import random
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.slow

RECIPIENTS = int(os.environ.get("RECIPIENTS", "1500"))
SEED = int(os.environ.get("SEED", "1"))
CLIENTS = 4
PATIENCE_S = 200 + RECIPIENTS / 20
"""Mostly a fifth of it; three connections refused on end are waited for longer."""

FAULTS = {
    "connect4": 0.1, "mail4": 0.02, "rcpt4": 0.15, "rcpt5": 0.08, "data4": 0.05, "data5": 0.02,
    "dot4": 0.05, "dot5": 0.02, "drop-at-rcpt": 0.005, "drop-in-data": 0.02, "drop-after-dot": 0.03,
    "close421": 0.003, "slow": 0.002,
}  # fmt: skip
GROUPS = (1, 3, 70)
"""Recipients of a send: over 50 share a copy, and of those 30 a transaction."""


def sends() -> list[list[str]]:
    """The recipients of each send, in all RECIPIENTS."""
    names = [f"r{number}@example.test" for number in range(RECIPIENTS)]
    dice, groups = random.Random(SEED), []
    while names:
        size = dice.choice(GROUPS)
        groups.append(names[:size])
        names = names[size:]
    return groups


def mail(number: int) -> bytes:
    lines = (
        "From: ann@sender.test",
        f"Subject: number {number}",
        f"Message-ID: <{number}@sender.test>",
        "Content-Type: text/html",
        "",
        "<p>Hello</p>",
        "..",
        f'<p><a href="https://example.com/{number}">see</a></p>',
        "",
    )
    return "\r\n".join(lines).encode()


def reported(report: bytes) -> list[str]:
    """Whom a report names as failed; it must be one by RFC 3464."""
    message = email.message_from_bytes(report.replace(b"\r\n..", b"\r\n.")[:-3])
    assert message.get_content_type() == "multipart/report", report
    assert message.get_param("report-type") == "delivery-status"
    parts: Any = message.get_payload()
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    of_message, *of_recipients = parts[1].get_payload()
    assert of_message["Reporting-MTA"] == "dns; relay.test"
    for group in of_recipients:
        assert group["Action"] == "failed"
        assert group["Status"].startswith("5."), report
        assert group["Diagnostic-Code"].startswith("smtp; 55")
    return [group["Final-Recipient"].removeprefix("rfc822; ") for group in of_recipients]


@pytest.fixture(scope="module")
def groups() -> list[list[str]]:
    return sends()


async def submit_all(connect: Any, port: int, groups: list[list[str]]) -> None:
    waiting = iter(enumerate(groups))

    async def client() -> None:
        async with connect(port) as program:
            for number, recipients in waiting:
                said = await program.submit(f"ann{number}@sender.test", recipients, mail(number))
                assert said.startswith(b"250 "), said

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def test_a_server_that_takes_recipients_after_refusing_the_sender_gets_no_empty_mail(
    relay: Any, open_sink: Any, connect: Any, drained: Any
) -> None:
    async with (
        open_sink({"mail4": 0.7}, lax=True) as sink,
        relay(upstream=[sink.upstream]) as (port, stores),
    ):
        await submit_all(connect, port, [["bob@example.test"], ["carol@example.test"]])
        await drained(stores)
    assert sink.happened["mail4"]
    assert sorted(sink.answered) == ["bob@example.test", "carol@example.test"]
    for (content,) in sink.answered.values():
        assert b"Subject: number" in content


async def test_under_random_faults_everybody_gets_his_copy_once_or_his_sender_a_report(
    relay: Any, open_sink: Any, connect: Any, drained: Any, groups: list[list[str]]
) -> None:
    everybody = {name for group in groups for name in group}
    with capture_logs() as logs:
        async with open_sink(FAULTS, SEED) as sink:
            upstream = sink.upstream | {"max_recipients_per_transaction": 30}
            async with relay(upstream=[upstream]) as (port, stores):
                await submit_all(connect, port, groups)
                await drained(stores, PATIENCE_S)
    told = Counter(name for report in sink.reports for name in reported(report))
    for name in everybody:
        got = len(sink.answered[name])
        assert got <= 1, f"{name} got it {got} times"
        assert got or told[name], f"{name} got nothing, and nobody was told"
        assert not (got and told[name]), f"{name} got it, and was reported"
        assert len({*sink.answered[name], *sink.unanswered[name]}) <= 1, f"{name}: other bytes"
    assert set(told) == sink.refused & everybody
    assert set(told.values()) == {1}
    assert all(sink.happened[kind] for kind in FAULTS), sink.happened
    again = sum(len(some) for name, some in sink.unanswered.items() if name in everybody)
    assert not [line for line in logs if line["event"] in {"copy.broken", "copy.not_settled"}]
    print(  # noqa: T201 - for docs/promises.md
        f"{len(everybody)} recipients in {len(groups)} sends, {len(told)} reported, "
        f"{again} given again after a drop, {sum(sink.happened.values())} faults: "
        f"{dict(sink.happened)}"
    )
