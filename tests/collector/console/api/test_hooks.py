"""Webhooks by the API: how they do, dead letters, and sending them again."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from ledger.audit import select_audit
from ledger.deliveries import Attempt, Dead, select_due, settle
from ledger.event import EventType
from ledger.webhooks import KnownWebhook, renew_webhooks, webhook_key

URL = "https://hooks.example.com/secret-path"


@pytest.fixture
async def dead(program: Any) -> list[str]:
    """Two dead letters and one that waits, of one webhook; the names of the dead."""
    console = program.console
    ledger = console.stores.ledger
    known = KnownWebhook(webhook_key(URL), "https://hooks.example.com", ("email.relayed",))
    await ledger.transact(partial(renew_webhooks, configured=[known]))
    await console.record(*(console.event(EventType.RELAYED) for _ in range(3)))
    now = datetime.now(UTC)
    due = await ledger.transact(partial(select_due, webhook=known.webhook, now=now, limit=2))
    ended = [Attempt(one, now, Dead("410 Gone")) for one in due]
    await ledger.transact(partial(settle, attempts=ended))
    return [one.delivery_id for one in due]


async def test_it_is_told_how_each_webhook_does_and_never_its_path(
    program: Any, dead: list[str]
) -> None:
    (told,) = (await program.get("/webhooks"))["webhooks"]
    assert told["failed_at"] is not None
    del told["failed_at"]
    assert told == {
        "webhook": webhook_key(URL),
        "origin": "https://hooks.example.com",
        "events": ["email.relayed"],
        "waiting": 1,
        "dead": len(dead),
        "delivered_at": None,
        "fault": "410 Gone",
    }
    assert "secret-path" not in str(await program.get("/webhooks/dead"))


async def test_dead_letters_are_listed_page_by_page(program: Any, dead: list[str]) -> None:
    found = await program.pages("/webhooks/dead", "dead_letters", limit=1)
    assert [one["delivery_id"] for one in found] == dead
    assert {(one["type"], one["attempts"], one["reply"]) for one in found} == {
        ("email.relayed", 1, "410 Gone")
    }


async def test_dead_letters_are_sent_again_once_and_it_is_audited(
    program: Any, dead: list[str]
) -> None:
    body = {"delivery_ids": [dead[0], f"msg_{'0' * 26}"]}
    for expected in ([dead[0]], []):
        status, told, _ = await program.ask("POST", "/webhooks/resend", body)
        assert (status, told) == (200, {"resent": expected})
    left = (await program.get("/webhooks/dead"))["dead_letters"]
    assert [one["delivery_id"] for one in left] == dead[1:]
    assert (await program.get("/webhooks"))["webhooks"][0]["waiting"] == 2
    async with program.console.stores.ledger.read() as connection:
        rows = await select_audit(connection, limit=3)
    assert [row.entry.action for row in rows].count("webhook.resent") == 1
    assert rows[0].entry.actor == f"token:{program.name}"


@pytest.mark.parametrize("names", [[], ["msg_1"], ["x" * 30], [f"msg_{'0' * 26}"] * 101])
async def test_what_names_no_dead_letter_is_refused(program: Any, names: list[str]) -> None:
    status, told, _ = await program.ask("POST", "/webhooks/resend", {"delivery_ids": names})
    assert status == 400
    assert told["errors"]
