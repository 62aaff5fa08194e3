"""Consent, as an operator records it and looks it up."""

import asyncio
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TypeVar

from config.settings import Settings
from indicia.acting import operator
from indicia.failure import NOT_HELD, USAGE, Failure
from indicia.printing import Format, plain_text, print_csv, print_json, print_line, table
from indicia.storage import opened_stores
from ledger.address import AddressError
from ledger.audit import Author, record_audit
from ledger.consent import Consent, Method, Subject, parse_subject
from ledger.consents import (
    ConsentTold,
    consent_history,
    consent_holding,
    list_consents,
    record_telling,
    tell_consent,
    told_object,
)
from ledger.event import format_instant
from ledger.keys import load_audit_key

_COLUMNS = ("subject", "state", "at", "method", "source", "text", "actor")
_NEEDED = {"subject", "state"}
_PAGE = 1_000
_AT_ONCE = 500
"""Lines in one transaction: it holds the ledger's writer some 50 ms."""
_MAX_FAULTS = 20
"""Wrong lines that are told; the rest are counted."""

_Word = TypeVar("_Word", bound=Enum)


@dataclass(frozen=True, slots=True)
class Telling:
    """What was told, and how."""

    state: Consent
    method: Method
    source: str
    text: str


def tell(settings: Settings, subject: str, telling: Telling) -> None:
    """Record a consent.  Raises Failure."""
    whose = _subject(subject)
    asyncio.run(_tell(settings, whose, telling))
    print_line(f"{plain_text(whose.shown)}: {telling.state.value}")


def show_consent(settings: Settings, subject: str, *, as_json: bool) -> None:
    """Print what holds and what was told, latest first.  Raises Failure where nothing was."""
    whose = _subject(subject)
    holds, history = asyncio.run(_look_up(settings, whose))
    if as_json:
        told = [told_object(whose, one) for one in history]
        print_json({"subject": whose.shown, "state": holds.value, "history": told})
    else:
        print_line(f"{plain_text(whose.shown)}: {holds.value}")
        rows = [
            (format_instant(one.at), one.state.value, one.method.value, one.actor, one.source)
            for one in history
        ]
        for line in table(rows, "  ") if rows else ():
            print_line(line)
    if not history and holds is Consent.UNKNOWN:
        msg = f"nothing was ever told of {whose.shown}; tracking.unknown_consent holds"
        raise Failure(msg)


def import_consents(settings: Settings, file: Path, source: str) -> None:
    """Record every line of a CSV file, or none.  Raises Failure, which names the wrong lines."""
    text = _read(file)
    author = operator(settings)
    told = _parse(text, source or file.name, author)
    asyncio.run(_record_all(settings, told, author))
    print_line(f"{len(told)} consents recorded")


def export_consents(settings: Settings, output: Format) -> None:
    """Print all that holds, by subject."""
    rows = asyncio.run(_all(settings))
    if output is Format.TABLE:
        for line in table([tuple(row.values()) for row in rows]) if rows else ():
            print_line(line)
        return
    if output is Format.CSV:
        print_csv(_COLUMNS)
    for row in rows:
        if output is Format.CSV:
            print_csv(row.values())
        else:
            print_json(row)


async def _tell(settings: Settings, whose: Subject, telling: Telling) -> None:
    author = operator(settings)
    told = ConsentTold(
        telling.state, author.at, telling.method, author.actor, telling.source, telling.text
    )
    async with opened_stores(settings) as stores:
        await record_telling(stores.ledger, whose, told, author)


async def _look_up(settings: Settings, whose: Subject) -> tuple[Consent, tuple[ConsentTold, ...]]:
    key = load_audit_key(settings.keys_dir)
    async with opened_stores(settings) as stores, stores.ledger.read() as connection:
        return (
            await consent_holding(connection, whose, key),
            await consent_history(connection, whose),
        )


async def _record_all(
    settings: Settings, told: list[tuple[Subject, ConsentTold]], author: Author
) -> None:
    async with opened_stores(settings) as stores:
        for start in range(0, len(told), _AT_ONCE):
            async with stores.ledger.write() as connection:
                for whose, one in told[start : start + _AT_ONCE]:
                    await tell_consent(connection, whose, one, author.pseudonym_key)
        async with stores.ledger.write() as connection:
            detail = {"consents": len(told)}
            await record_audit(connection, author.entry("consent.imported", detail=detail))


async def _all(settings: Settings) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    after = ""
    async with opened_stores(settings) as stores:
        while True:
            async with stores.ledger.read() as connection:
                page = await list_consents(connection, _PAGE, after)
            rows += [told_object(whose, told) for whose, told in page]
            if len(page) < _PAGE:
                return rows
            after = page[-1][0].key


def _read(file: Path) -> str:
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        msg = f"{file} can not be read ({error.strerror})"
        raise Failure(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{file} is not UTF-8 (byte {error.start}); save it as CSV UTF-8"
        raise Failure(msg) from error


def _parse(text: str, source: str, author: Author) -> list[tuple[Subject, ConsentTold]]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = set(rows.fieldnames or ())
    if not columns >= _NEEDED or not columns <= set(_COLUMNS):
        msg = f"the first line must name subject and state, and may name {', '.join(_COLUMNS[2:6])}"
        raise Failure(msg)
    told: list[tuple[Subject, ConsentTold]] = []
    faults: list[str] = []
    for row in rows:
        try:
            told.append(_parse_row(row, source, author))
        except ValueError as error:
            faults.append(f"line {rows.line_num}: {plain_text(error)}")
    if faults:
        more = [f"… and {len(faults) - _MAX_FAULTS} more"] if len(faults) > _MAX_FAULTS else []
        lines = [*faults[:_MAX_FAULTS], *more, "nothing was recorded"]
        raise Failure("\n".join(lines), NOT_HELD)
    return told


def _parse_row(
    row: Mapping[str, str | None], source: str, author: Author
) -> tuple[Subject, ConsentTold]:
    """Raise ValueError, of which AddressError is one, where a cell is wrong."""
    if None in row or None in row.values():
        msg = "it has not as many cells as the first line"
        raise ValueError(msg)
    cells = {name: (cell or "").removeprefix("'").strip() for name, cell in row.items()}
    return parse_subject(cells["subject"]), ConsentTold(
        state=_word(Consent, cells["state"]),
        at=_instant(cells["at"]) if cells.get("at") else author.at,
        method=_word(Method, cells.get("method") or Method.IMPORT.value),
        actor=author.actor,
        source=cells.get("source", source),
        text=cells.get("text", ""),
    )


def _word(words: type[_Word], cell: str) -> _Word:
    try:
        return words(cell.lower())
    except ValueError:
        msg = f"{cell!r} is none of {', '.join(_values(words))}"
        raise ValueError(msg) from None


def _values(words: Iterable[Enum]) -> Iterator[str]:
    return (str(word.value) for word in words)


def _instant(cell: str) -> datetime:
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        msg = f"{cell!r} is no instant; write 2026-11-24T12:00:00Z"
        raise ValueError(msg) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _subject(text: str) -> Subject:
    try:
        return parse_subject(text)
    except AddressError as error:
        raise Failure(str(error), USAGE) from None
