"""The rules again over history: what each label was, and what it is now."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from collector.again import judge_history
from collector.rules import RULES_VERSION
from config.settings import Settings
from indicia.printing import print_json, print_line, table
from indicia.reviewing import read_since
from indicia.storage import existing_stores
from ledger.event import Agent
from ledger.histories import History, read_histories
from ledger.relabelled import relabel_events
from ledger.story import Relabelling

PAGE_COPIES = 50
"""Judged in one transaction: at some five hits a copy it holds the writer for some 50 ms."""

Change = tuple[str, str]
"""Label before and after."""


def reclassify(settings: Settings, since: str | None, *, dry: bool, as_json: bool) -> None:
    """Judge opens and clicks anew, and print what each label was and is."""
    from_at = None if since is None else read_since(since, datetime.now(UTC))
    counts = asyncio.run(_reclassify(settings, from_at, dry=dry))
    rows = sorted(counts.items())
    if as_json:
        for (before, after), count in rows:
            print_json({"from": before, "to": after, "events": count, "written": not dry})
        return
    moved = sum(count for (before, after), count in rows if before != after)
    print_line(
        f"{sum(counts.values())} opens and clicks by the rules of {RULES_VERSION}: "
        f"{moved} {'would have' if dry else 'have'} another label"
    )
    for line in table([(before, "->", after, count) for (before, after), count in rows], "  "):
        print_line(line)


async def _reclassify(settings: Settings, since: datetime | None, *, dry: bool) -> Counter[Change]:
    counts = Counter[Change]()
    after: int | None = -1
    async with existing_stores(settings) as stores:
        while after is not None:
            step = partial(_step, since=since, after=after, dry=dry, counts=counts)
            after = await stores.ledger.transact(step)
    return counts


def _step(
    connection: Connection,
    *,
    since: datetime | None,
    after: int,
    dry: bool,
    counts: Counter[Change],
) -> int | None:
    """Judge the next page; return the last copy of it, None where there is none."""
    page = read_histories(connection, since, after, PAGE_COPIES)
    now = datetime.now(UTC)
    for history in page:
        anew = judge_history(history, now)
        _count(history, anew, counts)
        if not dry:
            relabel_events(connection, anew)
    return page[-1].copy_id if page else None


def _count(history: History, anew: Sequence[Relabelling], counts: Counter[Change]) -> None:
    now = {one.event_id: one.agent for one in anew}
    for event in history.events:
        before = event.agent or Agent.UNKNOWN
        counts[before.value, now.get(event.event_id, before).value] += 1
