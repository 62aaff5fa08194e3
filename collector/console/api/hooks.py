"""Webhooks: how they do, what they did not take, and sending that again."""

from functools import partial

from collector.console.api.asked import NothingAsked, PageAsked, Resending
from collector.console.api.caller import Caller
from collector.console.api.cursor import read_number_cursor, write_cursor
from ledger.audit import record_audit
from ledger.deliveries import dead_object, list_dead, list_webhooks, resend, webhook_object

_ORDER = "dead-letters"


async def tell_webhooks(caller: Caller, _asked: NothingAsked) -> dict[str, object]:
    """Return how each webhook stands."""
    async with caller.desk.ledger.read() as connection:
        states = await connection.run_sync(list_webhooks)
    return {"webhooks": [webhook_object(one) | {"origin": one.shown} for one in states]}


async def list_dead_letters(caller: Caller, asked: PageAsked) -> dict[str, object]:
    """Return a page of what webhooks did not take, in the order in which it was owed."""
    after = read_number_cursor(_ORDER, asked.cursor) or 0
    async with caller.desk.ledger.read() as connection:
        page = await connection.run_sync(partial(list_dead, limit=asked.limit, after=after))
    more = len(page) == asked.limit
    return {
        "dead_letters": [dead_object(one) for one in page],
        "next_cursor": write_cursor(_ORDER, str(page[-1].number)) if more else None,
    }


async def resend_dead_letters(caller: Caller, asked: Resending) -> dict[str, object]:
    """Let dead letters that are named be sent again; return which were any."""
    async with caller.desk.ledger.write() as connection:
        sent = await connection.run_sync(partial(resend, delivery_ids=asked.delivery_ids))
        if sent:
            detail = {"deliveries": len(sent)}
            await record_audit(
                connection, caller.author.entry("webhook.resent", None, None, detail)
            )
    return {"resent": list(sent)}
