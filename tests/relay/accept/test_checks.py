"""Whether a credential is right: real ledger, real Argon2, an upstream that is the test's."""

import asyncio
import math
import os
import statistics
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from ledger.audit import Author
from ledger.migrate import Stores, open_stores
from ledger.password import hash_password
from ledger.people import Account, Role, add_account, set_disabled, set_password, set_send_as
from relay.accept import checks
from relay.accept.checks import Elsewhere, Memory, UnknowableError, Users
from relay.accept.login import SignedIn
from relay.mail import Credential

PASSWORD, OTHER = "correct horse battery", "another password"
ALICE = Credential("Alice@example.com", PASSWORD)
AUTHOR = Author("test", datetime(2026, 11, 24, tzinfo=UTC), b"k" * 32)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    urls = [f"sqlite+aiosqlite:///{tmp_path / name}.db" for name in ("ledger", "spool")]
    stores = await open_stores(*urls)
    account = Account("alice@Example.com", Role.USER, ("*@sales.example",), hash_password(PASSWORD))
    await add_account(stores.ledger, account, AUTHOR)
    await add_account(stores.ledger, Account("link@example.com", Role.ADMIN), AUTHOR)
    yield stores
    await stores.close()


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


async def test_a_user_is_known_by_his_password_and_by_no_other(
    stores: Stores, pool: ThreadPoolExecutor
) -> None:
    users = Users(stores.ledger, pool)
    signed_in = await users.verify(ALICE)
    assert signed_in is not None
    assert (signed_in.account, signed_in.send_as) == ("alice@Example.com", ("*@sales.example",))
    assert signed_in.credential is None
    for wrong in (
        Credential("alice@example.com", OTHER),
        Credential("bob@example.com", PASSWORD),
        Credential("no address", PASSWORD),
        Credential("link@example.com", ""),
    ):
        assert await users.verify(wrong) is None
        assert await users.recall(wrong) is None


async def test_what_was_right_is_remembered_until_password_account_or_time_ends_it(
    stores: Stores, pool: ThreadPoolExecutor
) -> None:
    clock = Clock()
    users = Users(stores.ledger, pool, clock)
    assert await users.recall(ALICE) is None
    signed_in = await users.verify(ALICE)
    assert await users.recall(ALICE) == signed_in
    await set_send_as(stores.ledger, "alice@example.com", (), AUTHOR)
    recalled = await users.recall(ALICE)
    assert recalled is not None
    assert recalled.send_as == ()
    await set_disabled(stores.ledger, "alice@example.com", True, AUTHOR)
    assert await users.recall(ALICE) is None
    assert await users.verify(ALICE) is None
    assert await users.renew(recalled) is None
    await set_disabled(stores.ledger, "alice@example.com", False, AUTHOR)
    assert await users.renew(recalled) == recalled
    clock.now += checks.REMEMBER_S
    assert await users.recall(ALICE) is None
    assert await users.verify(ALICE) is not None
    await set_password(stores.ledger, "alice@example.com", hash_password(OTHER), AUTHOR)
    assert await users.recall(ALICE) is None
    assert await users.renew(recalled) is None


async def test_without_the_ledger_who_was_there_lately_is_known_and_nobody_else(
    stores: Stores, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    users = Users(stores.ledger, pool, clock)
    signed_in = await users.verify(ALICE)
    assert signed_in is not None

    async def broken(*_: object) -> None:
        statement = "SELECT"
        raise OperationalError(statement, None, OSError("disk I/O error"))

    monkeypatch.setattr(checks, "find_account", broken)
    assert await users.recall(ALICE) == signed_in
    assert await users.verify(ALICE) == signed_in
    assert await users.verify(Credential("alice@example.com", OTHER)) is None
    assert await users.renew(signed_in) == signed_in
    with pytest.raises(UnknowableError):
        await users.recall(Credential("bob@example.com", PASSWORD))
    clock.now += checks.REMEMBER_S
    with pytest.raises(UnknowableError):
        await users.verify(ALICE)
    assert await users.renew(signed_in) == signed_in


async def test_a_ledger_that_does_not_answer_is_one_that_can_not_be_read(
    stores: Stores, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_LEDGER_S", 0.01)

    async def slow(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(checks, "find_account", slow)
    with pytest.raises(UnknowableError):
        await Users(stores.ledger, pool).recall(ALICE)


async def test_so_many_checks_wait_and_no_more(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_MAX_WAITING", 3)
    gate = threading.Event()

    def slow(*_: object) -> bool:
        return gate.wait(10)

    monkeypatch.setattr(checks, "verify_password", slow)
    users = Users(stores.ledger, ThreadPoolExecutor(2))
    tries = [asyncio.ensure_future(users.verify(ALICE)) for _ in range(8)]
    while sum(one.done() for one in tries) < 5:  # noqa: ASYNC110 - they look into a database
        await asyncio.sleep(0.01)
    gate.set()
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [isinstance(answer, UnknowableError) for answer in answers].count(True) == 5
    assert await users.verify(ALICE) is not None


async def test_who_is_forgotten_first_was_there_longest_ago(
    stores: Stores, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_MAX_REMEMBERED", 1)
    monkeypatch.setattr(checks, "verify_password", lambda *_: True)
    users = Users(stores.ledger, pool)
    bob = Account("bob@example.com", Role.USER, password_hash="$argon2id$bob")
    await add_account(stores.ledger, bob, AUTHOR)
    await users.verify(ALICE)
    await users.verify(Credential("bob@example.com", OTHER))
    assert await users.recall(ALICE) is None
    assert await users.recall(Credential("bob@example.com", OTHER)) is not None


async def test_the_upstream_is_asked_and_its_yes_remembered() -> None:
    asked: list[Credential] = []
    clock = Clock()

    async def ask(credential: Credential) -> bool | None:
        asked.append(credential)
        return {PASSWORD: True, OTHER: False}.get(credential.password)

    elsewhere = Elsewhere(ask, clock)
    assert await elsewhere.recall(ALICE) is None
    signed_in = await elsewhere.verify(ALICE)
    assert signed_in == SignedIn("Alice@example.com", None, ALICE)
    assert await elsewhere.recall(ALICE) == signed_in
    assert await elsewhere.renew(signed_in) == signed_in
    wrong = Credential("Alice@example.com", OTHER)
    assert await elsewhere.verify(wrong) is None
    assert await elsewhere.recall(wrong) is None
    with pytest.raises(UnknowableError):
        await elsewhere.verify(Credential("Alice@example.com", "?"))
    clock.now += checks.REMEMBER_S
    assert await elsewhere.recall(ALICE) is None
    assert len(asked) == 3


async def test_an_upstream_is_asked_by_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_MAX_WAITING", 1)
    gate = asyncio.Event()

    async def ask(_: Credential) -> bool:
        await gate.wait()
        return True

    elsewhere = Elsewhere(ask)
    first = asyncio.ensure_future(elsewhere.verify(ALICE))
    await asyncio.sleep(0)
    with pytest.raises(UnknowableError):
        await elsewhere.verify(ALICE)
    gate.set()
    assert await first is not None


def test_no_two_credentials_have_one_digest_and_none_is_told() -> None:
    memory = Memory(time.monotonic)
    credentials = [("a", "bc"), ("ab", "c"), ("a", "b1:c"), ("a\0b", "c"), ("a", "b\0c")]
    digests = {memory.digest(Credential(*words)) for words in credentials}
    assert len(digests) == len(credentials)
    assert memory.digest(ALICE, "x") != memory.digest(ALICE)
    assert memory.digest(ALICE) == memory.digest(Credential("alice@EXAMPLE.com", PASSWORD))
    assert Memory(time.monotonic).digest(ALICE) != memory.digest(ALICE)


SAMPLES = int(os.environ.get("INDICIA_TIMING_SAMPLES", "20"))


@pytest.mark.slow
@pytest.mark.alone
async def test_an_unknown_name_takes_as_long_as_a_wrong_password(stores: Stores) -> None:
    # Law: an unknown name, a wrong password and a disabled account cost the same work.
    await add_account(
        stores.ledger,
        Account("shut@example.com", Role.USER, (), hash_password(OTHER), disabled=True),
        AUTHOR,
    )
    names: tuple[str, ...] = ("alice@example.com", "nobody@example.com", "shut@example.com")
    spans: dict[str, list[float]] = {name: [] for name in names}
    with ThreadPoolExecutor(1) as pool:
        users = Users(stores.ledger, pool)
        await users.verify(Credential(names[0], "to warm up"))
        for number in range(SAMPLES):
            # In another order each time: what the machine does meanwhile falls on all alike.
            for name in names[number % 3 :] + names[: number % 3]:
                credential = Credential(name, f"wrong {number}")
                began = time.perf_counter()
                assert await users.verify(credential) is None
                spans[name].append(time.perf_counter() - began)
    for name in names[1:]:
        assert abs(welch_t(spans[names[0]], spans[name])) < 4.5


def welch_t(one: list[float], other: list[float]) -> float:
    """Return Welch's t of two samples, each without its slowest tenth: a pause is no password."""
    first, second = (sorted(sample)[: len(sample) * 9 // 10] for sample in (one, other))
    error = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    return (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(error)


def test_the_timing_test_sees_a_difference_of_a_twentieth() -> None:
    steady = [0.05 + number % 7 / 1000 for number in range(150)]
    assert abs(welch_t(steady, [span * 1.05 for span in steady])) > 4.5
