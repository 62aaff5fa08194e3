"""What the tests of the spool share: one send, one settlement, a real store."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from ledger import schema
from ledger.address import parse_address
from ledger.engine import Store
from ledger.fact import CopyFact, RecipientFact, SendAccepted
from ledger.ident import new_ident
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.promise import Claim, Settlement, Stored
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.retry import Tries
from relay.spool import Spool
from relay.template import Template

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
LATER = NOW + timedelta(minutes=5)
LEASE_S = 60
NUMBERS = count(1)

TAKEN = Delivered(Reply(250, "2.0.0", "taken"))
NOT_NOW = Deferred(Reply(451, "4.0.0", "later"))
NEVER = Failed(Reply(550, "5.1.1", "nobody"))


def recipient(address: str, kind: RecipientType = RecipientType.TO) -> Recipient:
    return Recipient(parse_address(address), kind)


def stored(
    *copies: tuple[str, ...], at: datetime = NOW, copy_id: int = 0, original: bytes = b"x\r\n"
) -> Stored:
    """One send with a copy for each tuple of recipients."""
    number = next(NUMBERS)
    send_id = new_ident(number, number)
    addressed = copies or (("bob@example.org",),)
    split = tuple(
        Copy(
            copy_id=copy_id or next(NUMBERS),
            send_id=send_id,
            mode=TrackingMode.INDIVIDUAL,
            layout=None,
            key_id=3,
            recipients=tuple(map(recipient, addresses)),
        )
        for addresses in addressed
    )
    everybody = tuple(one.address for copy in split for one in copy.recipients)
    envelope = Envelope(parse_address("alice@example.com"), everybody, body_8bit=True)
    submission = Submission(send_id, envelope, original, at, Client("127.0.0.1", "x"), "alice")
    return Stored(
        submission, Template(original, (), "https://t.example"), split, accepted(submission, split)
    )


def accepted(submission: Submission, copies: tuple[Copy, ...]) -> SendAccepted:
    return SendAccepted(
        send_id=submission.send_id,
        accepted_at=submission.received_at,
        message_id="m@example.com",
        sender=str(submission.envelope.sender),
        account=submission.account,
        client="127.0.0.1",
        subject="Grüße",
        size_bytes=len(submission.raw),
        base_url="https://t.example",
        verdict=(),
        tags=(),
        metadata={},
        copies=tuple(
            CopyFact(
                copy.copy_id,
                copy.mode,
                tuple(
                    RecipientFact(f"{copy.copy_id}-{number}", str(one.address), one.recipient_type)
                    for number, one in enumerate(copy.recipients)
                ),
            )
            for copy in copies
        ),
        links=(),
    )


def settlement(claim: Claim, *outcomes: Outcome, due_at: datetime | None = None) -> Settlement:
    """The outcomes for the claim's recipients, in order."""
    return Settlement(
        copy_id=claim.copy.copy_id,
        lease=claim.lease,
        attempt_at=SOON,
        outcomes=tuple(zip(claim.copy.recipients, outcomes, strict=False)),
        upstream="default",
        due_at=due_at,
        tries=Tries(claim.tries.attempts + 1, SOON, 60.0),
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


@pytest.fixture
async def spool(store: Store) -> AsyncIterator[Spool]:
    spool = Spool(store)
    yield spool
    await spool.close()


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[str], int]:
    """Count a table's rows by a connection of another process's kind."""

    def count_rows(table: str) -> int:
        connection = sqlite3.connect(f"file:{tmp_path}/spool.db?mode=ro", uri=True)
        try:
            (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        finally:
            connection.close()
        return int(number)

    return count_rows


@pytest.fixture(name="stored")
def _stored() -> Callable[..., Stored]:
    """Build a send with a copy for each tuple of recipients, each send with ids of its own."""
    return stored


@pytest.fixture(name="settlement")
def _settlement() -> Callable[..., Settlement]:
    """Build a settlement with the outcomes for the claim's recipients, in order."""
    return settlement
