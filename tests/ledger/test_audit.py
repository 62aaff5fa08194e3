"""The audit log: a chain that tells where it was touched."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from ledger.audit import (
    EMPTY,
    NO_HASH,
    OPERATOR,
    AuditEntry,
    AuditRow,
    Author,
    Break,
    Head,
    SubjectKind,
    author_of,
    hash_row,
    pseudonym,
    read_head,
    record_audit,
    record_audits,
    select_audit,
    verify_audit,
    verify_rows,
)
from ledger.engine import Store
from ledger.schema import ledger as ledger_tables

KEY = bytes(range(32))
AT = datetime(2026, 11, 24, 8, 0, 0, 123456, tzinfo=UTC)

words = st.text(st.characters(codec="utf-8"), max_size=20)
entries = st.builds(
    AuditEntry,
    at=st.integers(0, 10**9).map(lambda us: AT + timedelta(microseconds=us)),
    actor=words,
    action=words,
    subject_kind=st.none() | st.sampled_from([*SubjectKind]),
    subject=st.none() | words,
    detail=st.dictionaries(words, words | st.integers() | st.booleans() | st.none(), max_size=3),
)


def chain(written: list[AuditEntry]) -> list[AuditRow]:
    rows, previous = [], NO_HASH
    for number, entry in enumerate(written, 1):
        row_hash = hash_row(number, entry, previous)
        rows.append(AuditRow(number, entry, previous, row_hash))
        previous = row_hash
    return rows


@given(st.lists(entries, max_size=6))
def test_a_log_as_it_was_written_holds(written: list[AuditEntry]) -> None:
    rows = chain(written)
    head = verify_rows(rows, EMPTY, None)
    assert head == (Head(rows[-1].number, rows[-1].row_hash) if rows else EMPTY)
    assert verify_rows(rows, EMPTY, head) == head


@given(st.lists(entries, min_size=1, max_size=6), entries, st.data())
def test_a_changed_row_is_named(
    written: list[AuditEntry], other: AuditEntry, data: st.DataObject
) -> None:
    # Law: any change, removal or swap of rows is found; removal at the end is found by a kept head.
    rows = chain(written)
    place = data.draw(st.integers(0, len(rows) - 1))
    assume(other != rows[place].entry)
    rows[place] = replace(rows[place], entry=other)
    found = verify_rows(rows, EMPTY, None)
    assert isinstance(found, Break)
    assert found.number == place + 1


@given(st.lists(entries, min_size=1, max_size=6), entries, st.data())
def test_a_changed_row_with_its_hash_made_anew_breaks_the_next_or_the_kept_head(
    written: list[AuditEntry], other: AuditEntry, data: st.DataObject
) -> None:
    rows = chain(written)
    kept = Head(rows[-1].number, rows[-1].row_hash)
    place = data.draw(st.integers(0, len(rows) - 1))
    assume(other != rows[place].entry)
    forged = hash_row(place + 1, other, rows[place].previous_hash)
    rows[place] = replace(rows[place], entry=other, row_hash=forged)
    found = verify_rows(rows, EMPTY, kept)
    assert isinstance(found, Break)
    assert found.number == min(place + 2, len(rows))


@given(st.lists(entries, min_size=2, max_size=6), entries, st.data())
def test_a_whole_chain_made_anew_does_not_meet_a_head_that_was_kept(
    written: list[AuditEntry], other: AuditEntry, data: st.DataObject
) -> None:
    kept_row = chain(written)[-1]
    place = data.draw(st.integers(0, len(written) - 1))
    assume(other != written[place])
    forged = chain([*written[:place], other, *written[place + 1 :]])
    assert isinstance(verify_rows(forged, EMPTY, None), Head)
    found = verify_rows(forged, EMPTY, Head(kept_row.number, kept_row.row_hash))
    assert isinstance(found, Break)
    assert found.number == len(written)


@given(st.lists(entries, min_size=2, max_size=6), st.data())
def test_a_removed_row_is_missed_unless_it_was_the_last(
    written: list[AuditEntry], data: st.DataObject
) -> None:
    rows = chain(written)
    place = data.draw(st.integers(0, len(rows) - 2))
    del rows[place]
    assert verify_rows(rows, EMPTY, None) == Break(place + 1, "this row is missing")


@given(st.lists(entries, min_size=2, max_size=6), st.data())
def test_swapped_rows_are_found_also_where_their_numbers_are_put_right(
    written: list[AuditEntry], data: st.DataObject
) -> None:
    rows = chain(written)
    one = data.draw(st.integers(0, len(rows) - 2))
    two = data.draw(st.integers(one + 1, len(rows) - 1))
    rows[one], rows[two] = (
        replace(rows[two], number=rows[one].number),
        replace(rows[one], number=rows[two].number),
    )
    found = verify_rows(rows, EMPTY, None)
    assert isinstance(found, Break)
    assert found.number == one + 1


def test_a_pseudonym_is_the_same_for_an_address_and_nothing_without_the_key() -> None:
    assert pseudonym(KEY, "bob@example.org") == pseudonym(KEY, "bob@example.org")
    assert pseudonym(KEY, "bob@example.org") != pseudonym(bytes(32), "bob@example.org")
    assert pseudonym(KEY, "bob@example.org") != pseudonym(KEY, "rob@example.org")
    assert len(pseudonym(KEY, "ü" * 300)) == 32


def test_people_and_recipients_are_written_by_pseudonym_and_all_else_by_name() -> None:
    author = author_of("anna@example.com", AT, KEY)
    assert author.actor == pseudonym(KEY, "anna@example.com")
    assert author_of(None, AT, KEY).actor == OPERATOR
    for kind in (SubjectKind.PERSON, SubjectKind.RECIPIENT):
        entry = author.entry("x", kind, "bob@example.org")
        assert entry.subject == pseudonym(KEY, "bob@example.org")
    assert author.entry("x", SubjectKind.TOKEN, "crm").subject == "crm"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    file = tmp_path / "ledger.db"
    engine = create_engine(f"sqlite:///{file}")
    ledger_tables.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite+aiosqlite:///{file}")
    yield store
    await store.close()


async def write(store: Store, count: int) -> None:
    author = Author(OPERATOR, AT, KEY)
    for number in range(count):
        async with store.write() as connection:
            await record_audit(
                connection,
                author.entry("x.done", SubjectKind.RECIPIENT, "bob@example.org", {"n": number}),
            )


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def alter(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "ledger.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


async def test_entries_that_are_written_at_once_follow_each_other(store: Store) -> None:
    await asyncio.gather(*(write(store, 5) for _ in range(4)))
    head = await verify_audit(store)
    assert isinstance(head, Head)
    assert head.number == 20
    async with store.read() as connection:
        assert await read_head(connection) == head


async def test_entries_of_an_import_follow_each_other_in_their_order(store: Store) -> None:
    author = Author(OPERATOR, AT, KEY)
    await write(store, 2)
    async with store.write() as connection:
        await record_audits(connection, [])
        await record_audits(connection, [author.entry(f"x.{number}") for number in range(500)])
    await write(store, 1)
    head = await verify_audit(store)
    assert isinstance(head, Head)
    assert head.number == 503
    async with store.read() as connection:
        rows = await select_audit(connection, after=2, limit=500)
    assert [row.entry.action for row in rows] == [f"x.{number}" for number in range(500)]


async def test_a_change_that_fails_leaves_no_entry(store: Store) -> None:
    async def fail() -> None:
        async with store.write() as connection:
            await record_audit(connection, AuditEntry(AT, OPERATOR, "x.done"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await verify_audit(store) == EMPTY


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE audit SET actor = 'somebody' WHERE number = 3", 3, "its content"),
        ("UPDATE audit SET at = at + 1 WHERE number = 2", 2, "its content"),
        ("UPDATE audit SET at = 'noon' WHERE number = 2", 2, "can not be read"),
        ("UPDATE audit SET detail = '{\"n\":9}' WHERE number = 1", 1, "its content"),
        ("UPDATE audit SET detail = '{' WHERE number = 4", 4, "can not be read"),
        ("UPDATE audit SET subject_kind = 'odd' WHERE number = 4", 4, "its content"),
        ("UPDATE audit SET subject = NULL WHERE number = 5", 5, "its content"),
        ("DELETE FROM audit WHERE number = 1", 1, "missing"),
        ("DELETE FROM audit WHERE number = 4", 4, "missing"),
        ("DELETE FROM audit WHERE number >= 4", 4, "missing, and all after it"),
        ("DELETE FROM audit", 1, "missing, and all after it"),
        ("UPDATE audit SET number = number + 1 WHERE number = 5", 5, "missing"),
    ],
)
async def test_the_first_row_that_was_touched_in_the_file_is_named(
    store: Store, tmp_path: Path, statement: str, number: int, why: str
) -> None:
    await write(store, 5)
    kept = await verify_audit(store)
    assert isinstance(kept, Head)
    alter(tmp_path, statement)
    found = await verify_audit(store, kept)
    assert isinstance(found, Break)
    assert (found.number, why in found.why) == (number, True)


async def test_a_head_that_was_kept_holds_while_the_log_grows(store: Store) -> None:
    await write(store, 2)
    kept = await verify_audit(store)
    assert isinstance(kept, Head)
    await write(store, 2)
    grown = await verify_audit(store, kept)
    assert isinstance(grown, Head)
    assert grown.number == 4


async def test_a_page_is_cut_by_number_and_narrowed_by_pseudonym(store: Store) -> None:
    await write(store, 5)
    about = pseudonym(KEY, "bob@example.org")
    async with store.read() as connection:
        newest = await select_audit(connection, limit=2)
        older = await select_audit(connection, before=newest[-1].number, about=about, limit=2)
        first = await select_audit(connection, after=0, limit=2)
        nobody = await select_audit(connection, about=pseudonym(KEY, "x@example.org"), limit=2)
    assert [row.number for row in (*newest, *older, *first)] == [5, 4, 3, 2, 1, 2]
    assert nobody == ()


async def test_the_file_holds_no_address(store: Store, tmp_path: Path) -> None:
    await write(store, 3)
    await store.close()
    assert b"bob@example.org" not in everything_in(tmp_path)
