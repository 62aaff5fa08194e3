"""The queue: what waits and why, and what an admin's program does about it."""

from collector.console.api.asked import QueueActing, QueueAsked
from collector.console.api.caller import Caller
from collector.console.api.cursor import bad_cursor, read_cursor, write_cursor
from collector.console.queue import ACTIONS, read_place, write_place
from ledger.acts import Result, act_on_queue, audit_action
from ledger.queue import Place, QueuedCopy, QueueFilter, copy_object, find_queued

_ORDER = "queue"
_MAX_COPY_ID = 2**63 - 1


async def list_queue(caller: Caller, asked: QueueAsked) -> dict[str, object]:
    """Return a page of the queue: what is due first, and what is held last."""
    wanted = QueueFilter(
        received_before=asked.older,
        recipient=asked.recipient or None,
        sender=asked.sender or None,
        reply=asked.reply or None,
        upstream=asked.upstream or None,
        waiting=asked.waiting,
    )
    page: list[QueuedCopy] = []
    async for copy in find_queued(caller.desk.spool, wanted, caller.now, _place(asked.cursor)):
        page.append(copy)
        if len(page) == asked.limit:
            break
    more = len(page) == asked.limit
    return {
        "copies": [copy_object(copy, caller.now) for copy in page],
        "next_cursor": write_cursor(_ORDER, write_place(page[-1])) if more else None,
    }


async def act_on_copies(caller: Caller, asked: QueueActing) -> dict[str, object]:
    """Do something to the copies that are named; return what became of each."""
    desk, action = caller.desk, ACTIONS[asked.action]
    numbers = [int(one) for one in asked.copy_ids]
    named = tuple({one for one in numbers if one <= _MAX_COPY_ID})
    results = dict.fromkeys(numbers, Result.GONE)
    sends: dict[str, None] = {}
    # Without names the filter means every copy.
    if named:
        wanted = QueueFilter(copy_ids=named)
        async for copy, result in act_on_queue(desk.spool, action, wanted, caller.author):
            results[copy.copy_id] = result
            if result.is_done:
                sends[copy.send_id] = None
    if sends:
        done = sum(result.is_done for result in results.values())
        await audit_action(desk.ledger, caller.author, action, list(sends), done)
    told = zip(asked.copy_ids, numbers, strict=True)
    return {
        "results": [
            {"copy_id": copy_id, "result": results[number].value} for copy_id, number in told
        ]
    }


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    place = read_place(read_cursor(_ORDER, cursor))
    if place is None:
        raise bad_cursor()
    return place
