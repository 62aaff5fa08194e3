"""The audit log as a command shows and verifies it."""

import asyncio
import re
from collections.abc import Mapping

from config.settings import Settings
from indicia.failure import USAGE, Failure
from indicia.printing import columns, print_json, print_line
from indicia.storage import existing_stores
from ledger.address import AddressError, parse_address
from ledger.audit import AuditRow, Break, Head, pseudonym, select_audit, verify_audit
from ledger.keys import load_audit_key
from ledger.people import list_accounts

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)
_WIDTHS = (6, 19, 24, 20, 24)
_ROWS_AT_ONCE = 500


def list_audit(settings: Settings, about: str | None, *, as_json: bool) -> None:
    """Print the log, oldest first; with an address, what he did and what was done about him.

    Raises Failure.
    """
    key = load_audit_key(settings.keys_dir)
    wanted = None if about is None else pseudonym(key, _address_key(about))
    asyncio.run(_list(settings, key, wanted, as_json=as_json))


def verify_log(settings: Settings, kept: str | None, *, as_json: bool) -> None:
    """Verify the chain and print its head.  Raises Failure at the first row that does not hold."""
    verified = asyncio.run(_verify(settings, None if kept is None else _head(kept)))
    match verified:
        case Break(number, why):
            if as_json:
                print_json({"good": False, "row": number, "why": why})
            msg = f"audit row {number}: {why}; what stands before it holds"
            raise Failure(msg)
        case Head(number, row_hash):
            if as_json:
                print_json({"good": True, "rows": number, "head": str(verified)})
                return
            print_line(f"{number} rows hold")
            if number:
                print_line(f"keep elsewhere, for --head: {number}:{row_hash}")


async def _verify(settings: Settings, kept: Head | None) -> Head | Break:
    async with existing_stores(settings) as stores:
        return await verify_audit(stores.ledger, kept)


async def _list(settings: Settings, key: bytes, wanted: str | None, *, as_json: bool) -> None:
    async with existing_stores(settings) as stores:
        accounts = await list_accounts(stores.ledger)
        names = {pseudonym(key, account.key): account.address for account in accounts}
        number = 0
        while True:
            async with stores.ledger.read() as connection:
                rows = await select_audit(
                    connection, after=number, about=wanted, limit=_ROWS_AT_ONCE
                )
            for row in rows:
                _print(row, names, as_json=as_json)
            if len(rows) < _ROWS_AT_ONCE:
                return
            number = rows[-1].number


def _print(row: AuditRow, names: Mapping[str, str], *, as_json: bool) -> None:
    entry = row.entry
    actor = names.get(entry.actor, entry.actor)
    subject = None if entry.subject is None else names.get(entry.subject, entry.subject)
    if as_json:
        print_json(
            {
                "number": row.number,
                "timestamp": f"{entry.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                "actor": actor,
                "action": entry.action,
                "subject_kind": entry.subject_kind,
                "subject": subject,
                "detail": entry.detail,
                "hash": row.row_hash,
            }
        )
        return
    detail = ", ".join(f"{name}={value}" for name, value in entry.detail.items())
    at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    print_line(columns((row.number, at, actor, entry.action, subject or "", detail), _WIDTHS))


def _head(text: str) -> Head:
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        msg = f"--head {text!r} is no head; write what audit verify printed, NUMBER:HASH"
        raise Failure(msg, USAGE)
    return Head(int(match[1]), match[2])


def _address_key(text: str) -> str:
    try:
        return parse_address(text).key
    except AddressError as error:
        raise Failure(str(error), USAGE) from None
