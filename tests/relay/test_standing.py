"""What is in force: the file and the ledger, over real stores."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import known, schema
from ledger.address import parse_address
from ledger.consent import Consent, Method, parse_subject
from ledger.consents import ConsentTold, tell_consent
from ledger.engine import Store
from ledger.migrate import open_store
from ledger.mode import TrackingMode
from ledger.policies import PolicyChange, change_policy
from relay import standing as standing_module
from relay.policy import Policy, Rule
from relay.standing import Standing

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
POLICY = Policy(
    "relay.example",
    "https://t.example",
    unknown_consent=TrackingMode.INDIVIDUAL,
    rules=(Rule("of the file"),),
)
BOB = parse_address("bob@example.org")


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/spool.db", schema.spool)
    yield store
    await store.close()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path}/ledger.db", schema.ledger)
    yield store
    await store.close()


@pytest.fixture
async def lost(tmp_path: Path) -> AsyncIterator[Store]:
    """A ledger that can not be read."""
    (tmp_path / "lost.db").write_bytes(b"this is no database" * 100)
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/lost.db")
    yield store
    await store.close()


async def tell(ledger: Store, subject: str, state: Consent) -> None:
    async with ledger.write() as connection:
        told = ConsentTold(state, NOW, Method.OTHER, "operator")
        await tell_consent(connection, parse_subject(subject), told)


async def change(ledger: Store, rule: str | None, value: object) -> None:
    async with ledger.write() as connection:
        made = PolicyChange(NOW, "operator", "", rule, value)  # type: ignore[arg-type] # broken ones too
        await change_policy(connection, made)


async def recalled(spool: Store, ledger: Store) -> Standing:
    standing = Standing(POLICY, spool, ledger, b"k" * 32)
    await standing.recall()
    return standing


async def test_with_nothing_said_the_file_holds(spool: Store, ledger: Store) -> None:
    policy = (await recalled(spool, ledger)).policy
    assert replace(policy, consents=POLICY.consents) == POLICY
    assert policy.consents.of(BOB) is Consent.UNKNOWN


async def test_with_nothing_known_nobody_is_tracked(spool: Store, lost: Store) -> None:
    """Law: what can not be read never widens what may be tracked."""
    assert (await recalled(spool, lost)).policy == replace(POLICY, known=False)


async def test_what_was_known_last_holds_while_the_ledger_can_not_be_read(
    spool: Store, ledger: Store, lost: Store
) -> None:
    await tell(ledger, "bob@example.org", Consent.DENIED)
    await tell(ledger, "example.net", Consent.GRANTED)
    await change(ledger, "kept", {"mode": "shared"})
    await change(ledger, None, value=False)
    known_before = (await recalled(spool, ledger)).policy
    policy = (await recalled(spool, lost)).policy
    assert policy == known_before
    assert policy.rules == (Rule("of the file"), Rule("kept", mode=TrackingMode.SHARED))
    assert policy.known
    assert not policy.tracking
    assert policy.consents.of(BOB) is Consent.DENIED
    assert policy.consents.of(parse_address("x@example.net")) is Consent.GRANTED


async def test_a_change_holds_after_the_next_look(spool: Store, ledger: Store) -> None:
    standing = await recalled(spool, ledger)
    before = standing.policy
    await standing.look()
    assert standing.policy is before
    await change(ledger, None, value=False)
    await standing.look()
    assert not standing.policy.tracking
    await change(ledger, None, value=True)
    await standing.look()
    assert standing.policy.tracking


async def test_consents_are_followed_one_by_one(
    spool: Store, ledger: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_module, "_MOST", 2)
    standing = await recalled(spool, ledger)
    for name in ("bob", "bob+a", "bob+b", "ann"):
        await tell(ledger, f"{name}@example.org", Consent.DENIED)
    await tell(ledger, "zoe@example.org", Consent.GRANTED)
    await standing.look()
    assert standing.policy.consents.of(BOB) is Consent.DENIED
    assert standing.policy.consents.of(parse_address("zoe@example.org")) is Consent.GRANTED
    for name in ("bob", "bob+a"):
        await tell(ledger, f"{name}@example.org", Consent.UNKNOWN)
        await standing.look()
        assert standing.policy.consents.of(BOB) is Consent.DENIED, "another detail denies"
    await tell(ledger, "bob+b@example.org", Consent.GRANTED)
    await tell(ledger, "zoe@example.org", Consent.UNKNOWN)
    await standing.look()
    assert standing.policy.consents.of(BOB) is Consent.UNKNOWN
    assert standing.policy.consents.of(parse_address("zoe@example.org")) is Consent.UNKNOWN
    last = await spool.transact(known.recall)
    assert last is not None
    assert (last.granted, last.denied) == (
        frozenset({"bob+b@example.org"}),
        frozenset({"ann@example.org"}),
    )


@pytest.mark.parametrize("value", [{"mode": "wide"}, {"colour": "red"}, ["off"]])
async def test_a_rule_that_can_not_be_read_leaves_what_was_known(
    spool: Store, ledger: Store, value: object
) -> None:
    await change(ledger, None, value=False)
    standing = await recalled(spool, ledger)
    before = standing.policy
    await change(ledger, "from a newer version", value)
    await change(ledger, None, value=True)
    await standing.look()
    assert standing.policy is before
    assert (await recalled(spool, ledger)).policy == before
