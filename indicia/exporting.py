"""Everything that is held of one address, for who asks what is known of him."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from config.settings import Settings
from indicia.acting import operator
from indicia.failure import USAGE, Failure
from indicia.held import Held, held_lines, held_object
from indicia.printing import print_json, print_line
from indicia.storage import existing_stores
from ledger.address import Address, AddressError, parse_address
from ledger.audit import (
    AuditEntry,
    SubjectKind,
    pseudonym,
    record_audit,
    select_audit,
)
from ledger.cleared import find_in_queue
from ledger.consent import subject_of
from ledger.consents import consent_history, consent_holding
from ledger.days import days_about
from ledger.holdings import (
    copies_of,
    details_of,
    events_about,
    hits_of,
    links_of,
    rules_naming,
    sends_of,
    sent_by,
)
from ledger.migrate import Stores
from ledger.people import Account, select_accounts
from ledger.spooled import captured_for

_AUDIT_ROWS = 10_000
"""More than one person's acts in years; what lies further back is told by `audit list`."""


def export(settings: Settings, text: str, folder: Path | None, *, as_json: bool) -> None:
    """Print what is held of an address, or write it into a folder with the mail itself.

    Raises Failure where nothing is held.
    """
    address = read_address(text)
    if not asyncio.run(_export(settings, address, folder, as_json=as_json)):
        msg = f"nothing is held of {address}"
        raise Failure(msg)


def read_address(text: str) -> Address:
    """Return an address of the command line, by the grammar of SMTP.  Raises Failure."""
    try:
        return parse_address(text)
    except AddressError as error:
        raise Failure(str(error), USAGE) from None


async def _export(
    settings: Settings, address: Address, folder: Path | None, *, as_json: bool
) -> bool:
    """Tell what is held, and return whether there was anything.

    It is not the result: at the end of a run Python writes the result of its task out twice
    (asyncio.Runner sets a signal's handler, and `signal` asks for its repr), which of a thousand
    mails takes half a second.
    """
    held = await _collect(settings, address)
    if folder is not None:
        for file in _write(held, folder):
            print_line(str(file))
    elif as_json:
        print_json(held_object(held))
    else:
        for line in held_lines(held):
            print_line(line)
    return not held.is_empty


async def _collect(settings: Settings, address: Address) -> Held:
    author, key = operator(settings), address.key
    now = datetime.now(UTC)
    async with existing_stores(settings) as stores:
        queue = await find_in_queue(stores.spool, key, now)
        async with stores.spool.read() as spool:
            captured = await captured_for(spool, key)
        async with stores.ledger.read() as connection:
            held = await _read(connection, address, author.pseudonym_key)
        await _note(stores, author.entry("recipient.exported", SubjectKind.RECIPIENT, key))
    return Held(address=address, at=now, queue=queue, captured=captured, **held)


async def _note(stores: Stores, entry: AuditEntry) -> None:
    async with stores.ledger.write() as connection:
        await record_audit(connection, entry)


async def _read(connection: AsyncConnection, address: Address, digest_key: bytes) -> dict[str, Any]:
    key, subject = address.key, subject_of(address)
    held = await copies_of(connection, key)
    received = await sends_of(connection, [copy.send_id for copy in held])
    account = await account_of(connection, key)
    sent = await sent_by(connection, key, account_names(address, account))
    own = [copy.copy_id for copy in held if copy.is_his]
    return {
        "copies": held,
        "received": {send.send_id: send for send in received},
        "links": await links_of(connection, [send.send_id for send in received]),
        "events": (
            *await events_about(connection, key, held),
            *await days_about(connection, key),
        ),
        "hits": await hits_of(connection, own),
        "sent": await sends_of(connection, sent),
        "account": account,
        "consent": await consent_holding(connection, subject, digest_key),
        "history": await consent_history(connection, subject),
        "audit": await select_audit(
            connection, about=pseudonym(digest_key, key), limit=_AUDIT_ROWS
        ),
        "rules": await rules_naming(connection, address),
        "details": await details_of(connection, address),
    }


async def account_of(connection: AsyncConnection, key: str) -> Account | None:
    """Return the account of an address."""
    accounts = await select_accounts(connection)
    return next((account for account in accounts if account.key == key), None)


def account_names(address: Address, account: Account | None) -> tuple[str, ...]:
    """Return how the sends of somebody who signed in name him."""
    written = () if account is None else (account.address,)
    return tuple({str(address), address.key, *written})


def _write(held: Held, folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield _put(folder / "export.json", json.dumps(held_object(held), indent=1).encode())
        text = "".join(f"{line}\n" for line in held_lines(held))
        yield _put(folder / "export.txt", text.encode())
        for copy in held.captured:
            yield _put(folder / f"{copy.copy_id}.eml", copy.raw)
    except OSError as error:
        msg = f"{folder} can not be written ({error.strerror})"
        raise Failure(msg) from error


def _put(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file
