"""What webhooks are owed, as the command shows it; dead letters sent again."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from collector.telling import known_webhooks
from config.settings import Settings
from indicia.acting import operator
from indicia.failure import USAGE, Failure
from indicia.printing import plain_text, print_json, print_line, table
from indicia.storage import existing_stores
from ledger.audit import record_audit
from ledger.deliveries import (
    Delivery,
    WebhookState,
    dead_object,
    list_dead,
    list_webhooks,
    resend,
    webhook_object,
)
from ledger.webhooks import webhook_key

PAGE = 500
"""Dead letters read at a time."""


def show_webhooks(settings: Settings, *, as_json: bool) -> None:
    """Print each webhook, with what it is owed and how it does."""
    states = asyncio.run(_states(settings))
    urls = _urls(settings)
    if as_json:
        for one in states:
            print_json(webhook_object(one) | _shown(one.webhook, urls))
        return
    if not states:
        print_line("no webhook is configured: docs/webhooks.md")
        return
    rows = [("WEBHOOK", "EVENTS", "WAITING", "DEAD", "STATE"), *(_row(one, urls) for one in states)]
    for line in table(rows):
        print_line(line)


def show_dead(settings: Settings, *, as_json: bool) -> None:
    """Print each dead letter, in the order in which they were owed."""
    asyncio.run(_show_dead(settings, as_json=as_json))


def resend_dead(
    settings: Settings, names: Sequence[str], *, everything: bool, as_json: bool
) -> None:
    """Let dead letters be sent again, and print which.

    Raises Failure where none is named, or one that is named is no dead letter.
    """
    if bool(names) == everything:
        msg = "say which: the IDs that `indicia webhook dead` shows, or --all"
        raise Failure(msg, USAGE)
    sent = asyncio.run(_resend(settings, None if everything else names))
    for name in sent:
        if as_json:
            print_json({"delivery_id": name, "action": "resend"})
    if not as_json:
        print_line(f"{len(sent)} to be sent again, within a second where the collector runs")
    missing = sorted(set(names) - set(sent))
    if missing:
        msg = f"no dead letter: {', '.join(map(plain_text, missing))}"
        raise Failure(msg)


async def _states(settings: Settings) -> tuple[WebhookState, ...]:
    async with existing_stores(settings) as stores, stores.ledger.read() as connection:
        states = await connection.run_sync(list_webhooks)
    known = {one.webhook for one in states}
    # What the collector has not read yet.
    new = (one for one in known_webhooks(settings) if one.webhook not in known)
    fresh = (WebhookState(one.webhook, one.shown, one.types, None, None, None, 0, 0) for one in new)
    return (*states, *fresh)


async def _show_dead(settings: Settings, *, as_json: bool) -> None:
    urls, after, shown = _urls(settings), 0, False
    async with existing_stores(settings) as stores:
        while True:
            async with stores.ledger.read() as connection:
                page = await connection.run_sync(partial(list_dead, limit=PAGE, after=after))
            if not page:
                break
            shown, after = True, page[-1].number
            _print_dead(page, urls, as_json=as_json)
    if not shown and not as_json:
        print_line("no dead letters")


def _print_dead(page: Sequence[Delivery], urls: Mapping[str, str], *, as_json: bool) -> None:
    found = [dead_object(one) | {"url": urls.get(one.webhook)} for one in page]
    if as_json:
        for one in found:
            print_json(one)
        return
    names = ("delivery_id", "type", "send_id", "dead_at", "attempts", "reply", "url")
    for line in table([[one[name] or "" for name in names] for one in found]):
        print_line(line)


async def _resend(settings: Settings, names: Sequence[str] | None) -> tuple[str, ...]:
    author = operator(settings)
    async with existing_stores(settings) as stores, stores.ledger.write() as connection:
        sent = await connection.run_sync(partial(resend, delivery_ids=names))
        if sent:
            detail = {"deliveries": len(sent)}
            await record_audit(connection, author.entry("webhook.resent", None, None, detail))
    return sent


def _urls(settings: Settings) -> dict[str, str]:
    return {webhook_key(one.url): one.url for one in settings.webhook}


def _row(state: WebhookState, urls: Mapping[str, str]) -> tuple[object, ...]:
    url = urls.get(state.webhook)
    shown = url or f"{state.shown or state.webhook} (not configured any more)"
    told = f"failing: {state.fault}" if state.fault else "well"
    told = told if state.delivered_at or state.failed_at else "nothing told yet"
    return shown, ", ".join(state.types) or "all", state.waiting, state.dead, told


def _shown(webhook: str, urls: Mapping[str, str]) -> dict[str, object]:
    return {"url": urls.get(webhook), "configured": webhook in urls}
