"""What tests of one relay wait for and compare in the end."""

import asyncio
from pathlib import Path

from tests.durability.kills import read_spool
from tests.durability.mailing import fault_of, recipients_of
from tests.durability.sink import Sink

SIZE_BYTES = 2_000
"""The most a mail of theirs has before its head."""


async def until_quiet(folder: Path, sink: Sink, promised: dict[int, str], within_s: float) -> None:
    """Wait until the promised mail is upstream and nothing is pending."""
    wanted = [one for number in promised for one in recipients_of(number)]
    async with asyncio.timeout(within_s):
        while True:
            if all(map(sink.finished, wanted)):
                spooled = await asyncio.to_thread(read_spool, folder)
                if not spooled.pending:
                    return
            await asyncio.sleep(0.02)


def faults(sink: Sink, promised: dict[int, str], refused: set[int]) -> list[str]:
    """Return who got nothing, something else or it twice, or got what was refused."""
    found = []
    for number in promised:
        for one in recipients_of(number):
            copies = sink.got[one]
            if one.startswith("refused-"):
                continue
            wrong = "not once" if len(copies) != 1 else fault_of(copies[0], number, SIZE_BYTES)
            found += [f"{one}: {wrong} ({len(copies)})"] if wrong else []
    found += [
        f"{number} was refused" for number in refused if sink.got[f"to-{number}@example.test"]
    ]
    return found
