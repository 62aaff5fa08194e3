"""How recipients were treated, from a real ledger file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from ledger.engine import Store
from ledger.fact import UNOBSERVED, pack_verdict
from ledger.mode import TrackingMode
from ledger.schema import ledger as ledger_tables
from ledger.schema import sends
from ledger.treated import PastCopy, PastSend, Treated, latest_treated

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BOB: dict[str, Any] = {
    "recipient": "bob@example.org",
    "recipient_type": "to",
    "mode": "anonymous",
    "opens": True,
    "clicks": "none",
    "copy": 1,
    "reasons": [
        {"of": "mode", "is": "anonymous", "because": "consent", "name": "unknown_consent"},
        {"of": "clicks", "is": "none", "because": "rule", "name": "careful"},
    ],
    "parts": [],
    "links": [],
}
TREATED = Treated(TrackingMode.ANONYMOUS, opens=True, clicks="none")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def add(store: Store, send_id: str, *verdict: dict[str, Any]) -> None:
    row = {
        "send_id": send_id,
        "accepted_at": NOW,
        "sender": "anna@acme.example",
        "account": "anna",
        "subject": "Offer",
        "size_bytes": 1,
        "base_url": "http://127.0.0.1",
        "verdict": pack_verdict(verdict),
        "tags": [],
        "metadata": {},
    }
    async with store.write() as connection:
        await connection.execute(insert(sends).values(row))


async def test_the_latest_come_first_page_by_page_with_the_rules_that_decided(
    store: Store,
) -> None:
    for send_id in ("01A", "01B", "01C"):
        await add(store, send_id, BOB)
    async with store.read() as connection:
        page = await latest_treated(connection, 2)
        rest = await latest_treated(connection, 2, page[-1].send_id)
    assert [send.send_id for send in (*page, *rest)] == ["01C", "01B", "01A"]
    bob = PastCopy("bob@example.org", TREATED, frozenset({"careful"}))
    assert rest == (PastSend("01A", NOW, "anna@acme.example", "anna", "Offer", (bob,)),)


async def test_of_what_was_only_observed_what_would_have_been_done_counts(store: Store) -> None:
    off = {**BOB, "mode": "off", "opens": False, "reasons": [], UNOBSERVED: BOB}
    await add(store, "01A", off)
    async with store.read() as connection:
        (send,) = await latest_treated(connection, 5)
    assert [copy.treated for copy in send.copies] == [TREATED]
