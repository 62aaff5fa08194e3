"""Erasure of one address, as an operator asks for it, and its proof."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from config.settings import Settings
from indicia.acting import operator
from indicia.exporting import account_names, account_of, read_address
from indicia.failure import USAGE, Failure
from indicia.printing import plain_text, print_json, print_line, table
from indicia.searching import count_found, store_files
from indicia.storage import existing_stores, spill_url
from ledger import schema
from ledger.address import Address
from ledger.audit import OPERATOR, AuditEntry, Author, SubjectKind, record_audit
from ledger.cleared import (
    InQueue,
    clear_delivered,
    clear_spool,
    drain_facts,
    drop_for,
    find_in_queue,
    still_owed,
)
from ledger.consent import Consent, Method, subject_of
from ledger.consents import ConsentTold, consent_history, consent_told, tell_consent
from ledger.engine import Store, sqlite_file
from ledger.forget import Traces, find_traces, forget_address
from ledger.hits import delete_spilled_of
from ledger.holdings import details_of, rules_naming
from ledger.impersonal import Cleared, clear_policy
from ledger.known import Known, recall, renew_policy
from ledger.migrate import Stores, open_store
from ledger.people import Account
from ledger.policies import kept_policy

_CUTS = 100
_CUT_AGAIN_S = 0.1
"""A log can not be cut while somebody reads; no read lasts longer than 5 s."""

_LOOKS = 30
_LOOK_S = 0.1
"""A relay that runs looks every second; of one that does not, what it remembers is erased."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """How it was asked for."""

    drop_queued: bool = False
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What is held of an address before it is forgotten."""

    traces: Traces
    queue: InQueue
    account: Account | None
    consents: int
    details: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done, and what stays on purpose."""

    rows: Mapping[str, int]
    """By table."""
    under_digest: tuple[str, ...]
    """Rules that hold on for who is forgotten, by name."""
    rules: tuple[str, ...]
    """Rules that spell the address out, and hold for others too."""


def forget(settings: Settings, text: str, wish: Wish, *, as_json: bool) -> None:
    """Erase what is held of an address, and print what that was and what is left.

    Raises Failure where mail of his waits, where he may still sign in, or where nobody says yes.
    """
    address = read_address(text)
    found = asyncio.run(_look(settings, address))
    _refuse(found, address, wish)
    if not wish.sure:
        _confirm(found, address)
    erased = asyncio.run(_forget(settings, found, wish))
    left = {str(file): count for file in _files(settings) if (count := count_found(file, address))}
    if as_json:
        print_json(_object(found, erased, left))
    else:
        for line in _lines(found, erased, left):
            print_line(line)
    if left:
        msg = (
            f"{address} is still named in {', '.join(left)}; docs/privacy.md says what may be left"
        )
        raise Failure(msg)


async def _look(settings: Settings, address: Address) -> Found:
    async with existing_stores(settings) as stores:
        # What the relay has told and the ledger not heard is found as well.
        await _drain(stores, address)
        queue = await find_in_queue(stores.spool, address.key, datetime.now(UTC))
        async with stores.ledger.read() as connection:
            account = await account_of(connection, address.key)
            told = await consent_history(connection, subject_of(address))
            details = await details_of(connection, address)
            rules = await rules_naming(connection, address)
        traces = await find_traces(stores.ledger, address, account_names(address, account))
    return Found(traces, queue, account, len(told), details, rules)


async def _drain(stores: Stores, address: Address) -> None:
    if not await drain_facts(stores.spool, stores.ledger):
        left = await stores.spool.transact(partial(still_owed, address=address))
        if left:
            msg = f"the ledger does not take {left} facts about {address}: see indicia check"
            raise Failure(msg)


def _refuse(found: Found, address: Address, wish: Wish) -> None:
    if found.account is not None and not found.account.disabled:
        msg = (
            f"{address} has an account and may sign in; what he sent would be erased too. If that"
            f" is meant, first: indicia user disable {address}"
        )
        raise Failure(msg)
    waiting = len(found.queue.waiting)
    if waiting and not wish.drop_queued:
        msg = (
            f"{_copies(waiting)} to or from {address} in the queue (indicia queue list); wait until"
            " all is delivered, or give it up with --drop-queued: nobody is told then"
        )
        raise Failure(msg)


def _confirm(found: Found, address: Address) -> None:
    """Return where a person at the terminal says yes.  Raises Failure."""
    told = ", ".join(_told(found)) or "nothing on record"
    if not sys.stdin.isatty():
        msg = f"this would erase {told} of {address}, for good; add --yes to do it"
        raise Failure(msg, USAGE)
    print_line(f"This erases what is held of {address}, for good: {told}.")
    if input("Forget it? [y/N] ").strip().lower() not in ("y", "yes"):
        msg = "nothing was erased"
        raise Failure(msg)


def _told(found: Found) -> Iterator[str]:
    held = found.traces
    for number, what in (
        (len(held.received), "mail received"),
        (len(held.sent), "mail sent, with all that came of it"),
        (len(found.queue.waiting), "in the queue"),
        (found.consents, "consent told"),
        (int(found.account is not None), "account"),
        (len(found.rules), "rule that names it"),
    ):
        if number:
            yield f"{number} {what}"


async def _forget(settings: Settings, found: Found, wish: Wish) -> Erased:
    author, traces = operator(settings), found.traces
    async with existing_stores(settings) as stores:
        spill = await open_store(spill_url(settings), schema.spill)
        try:
            await _clear_queue(stores.spool, found, wish)
            await _drain(stores, traces.address)
            await _let_go(stores, traces.address)
            cleared = await _clear_policy(stores, traces.address, author)
            await forget_address(stores.ledger, traces, author.at, author.pseudonym_key)
            traces.erased["policy_changes"] = cleared.rows
            await _clear_rest(stores.spool, spill, traces)
            key, erased = traces.address.key, traces.erased
            entry = author.entry("recipient.forgotten", SubjectKind.RECIPIENT, key, erased)
            await _note(stores, entry)
            async with stores.ledger.read() as connection:
                rules = await rules_naming(connection, traces.address)
            for store in (stores.ledger, stores.spool, spill):
                await _cut(store)
        finally:
            await spill.close()
    return Erased(traces.erased, cleared.under_digest, rules)


async def _clear_queue(spool: Store, found: Found, wish: Wish) -> None:
    key = found.traces.address.key
    for copy in found.queue.got:
        await spool.transact(partial(clear_delivered, copy=copy, key=key))
    if not wish.drop_queued:
        return
    now = datetime.now(UTC)
    tried = [
        copy
        for copy in found.queue.waiting
        if not await spool.transact(partial(drop_for, copy=copy, key=key, now=now))
    ]
    if tried:
        msg = f"{_copies(len(tried))} being delivered just now; run the same again in a minute"
        raise Failure(msg)


async def _let_go(stores: Stores, address: Address) -> None:
    """Let the relay take back a grant before the record of it goes: it remembers what it knows."""
    subject = subject_of(address)
    now = datetime.now(UTC)
    async with stores.ledger.write() as connection:
        if await consent_told(connection, subject) is not Consent.GRANTED:
            return
        told = ConsentTold(Consent.UNKNOWN, now, Method.OTHER, OPERATOR, source="forget")
        number = await tell_consent(connection, subject, told)
    await _until(stores.spool, lambda last: last.consents_number >= number)


async def _clear_policy(stores: Stores, address: Address, author: Author) -> Cleared:
    """Take the address out of rules and reasons, and let relays take the rules over so."""
    clear = partial(clear_policy, address=address, now=author.at, digest_key=author.pseudonym_key)
    cleared = await stores.ledger.transact(clear)
    await _until(stores.spool, lambda last: last.policy.number >= cleared.number)
    async with stores.ledger.read() as connection:
        policy = await kept_policy(connection)
    await stores.spool.transact(partial(renew_policy, policy=policy))
    return cleared


async def _until(spool: Store, heeded: Callable[[Known], bool]) -> None:
    """Wait until the relays have taken a change over; not for ever, for none may run."""
    for _ in range(_LOOKS):
        last = await spool.transact(recall)
        if last is None or heeded(last):
            return
        await asyncio.sleep(_LOOK_S)


async def _clear_rest(spool: Store, spill: Store, traces: Traces) -> None:
    send_ids = (*traces.received, *traces.sent)
    rows = await spool.transact(partial(clear_spool, address=traces.address, send_ids=send_ids))
    traces.erased["spool"] = rows
    spilled = 0
    for start in range(0, len(traces.copy_ids), _AT_ONCE):
        some = traces.copy_ids[start : start + _AT_ONCE]
        spilled += await spill.transact(partial(delete_spilled_of, copy_ids=some))
    traces.erased["spill"] = spilled


async def _note(stores: Stores, entry: AuditEntry) -> None:
    async with stores.ledger.write() as connection:
        await record_audit(connection, entry)


async def _cut(store: Store) -> None:
    """Bring the log into the file: what was erased stands in it until then."""
    for _ in range(_CUTS):
        if await store.shrink():
            return
        await asyncio.sleep(_CUT_AGAIN_S)


def _files(settings: Settings) -> Iterator[Path]:
    database = settings.database
    urls = (database.url, database.spool_url, spill_url(settings))
    return store_files(map(sqlite_file, urls))


def _object(found: Found, erased: Erased, left: Mapping[str, int]) -> dict[str, object]:
    return {
        "address": str(found.traces.address),
        "erased": dict(erased.rows),
        "left": dict(left),
        "same_person_perhaps": list(found.details),
        "rules_under_digest": list(erased.under_digest),
        "rules": list(erased.rules),
    }


def _lines(found: Found, erased: Erased, left: Mapping[str, int]) -> Iterator[str]:
    address = found.traces.address
    rows = [(name, number) for name, number in erased.rows.items() if number]
    yield f"{address} is forgotten" if rows else f"nothing was on record of {address}"
    yield from table(rows, "  ") if rows else ()
    if not left:
        yield "The files of all stores were searched: the address stands in none of them."
    for file, number in left.items():
        yield f"{file}: found {number} times"
    for rule in erased.under_digest:
        yield f"this rule holds on, under a digest of the address: {plain_text(rule)}"
    for rule in erased.rules:
        yield (
            f"this rule holds for others too and spells the address out: {plain_text(rule)};"
            " change it in the console and run the same again"
        )
    if found.details:
        yield f"other addresses that may be the same person's: {', '.join(found.details)}"
    yield "Backups and the log of the system are not touched: docs/privacy.md"


def _copies(number: int) -> str:
    return "1 copy is" if number == 1 else f"{number} copies are"
