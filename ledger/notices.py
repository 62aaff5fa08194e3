"""Notices to people: owed with the event, taken back with its label, told by one mail.

Law: of an event at most one mail ever tells, and one that was owed is told or dropped.
Law: an event whose label is no person's any more before its time is not told.
Who has no account, or wants no mail, is owed nothing.  What is forgotten or purged goes with its
event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, or_, select, update

from ledger.event import Agent, Event
from ledger.events import read_event
from ledger.notice_wishes import MailWish, NoticeWish, read_wish
from ledger.schema import Instant, events, notice_letters, notice_wishes, notices, people

LETTERS_LAST = timedelta(hours=1)
"""How long it is known that somebody had a mail: `throttle` counts within it."""


@dataclass(frozen=True, slots=True)
class Owing:
    """A notice that is owed unless the event is another by then."""

    event_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice whose time has come."""

    number: int
    due_at: datetime
    event: Event
    person_key: str
    wish: NoticeWish | None
    """None: he has no account by now, or is shut out."""


@dataclass(frozen=True, slots=True)
class NoticeLetter:
    """A mail that tells of some events."""

    name: str
    """In order of time (ledger.ident)."""
    person_key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenLetter:
    """A letter that the spool may not have yet."""

    letter: NoticeLetter
    address: str | None
    """None: his account is gone."""
    events: tuple[Event, ...]


# No list: one of those can not be asked for many rows at once.
_IS_ATTENTIVE = or_(*(events.c.classification == agent.value for agent in Agent if agent.attentive))
_WISHED = people.outerjoin(notice_wishes, notice_wishes.c.person_key == people.c.key)
_REACHABLE = (
    select(people.c.key)
    .select_from(_WISHED)
    .where(
        people.c.disabled.is_(False),
        or_(notice_wishes.c.mail.is_(None), notice_wishes.c.mail != MailWish.OFF.value),
    )
)
_THIS = events.c.event_id == bindparam("of_event")
_HOLD = (
    update(events)
    .where(_THIS, events.c.notice == "none", _IS_ATTENTIVE)
    .where(events.c.sender_key.in_(_REACHABLE))
    .values(notice="held")
)
_OWE = insert(notices).from_select(
    ["event_number", "due_at"],
    select(events.c.number, bindparam("at", type_=Instant)).where(
        _THIS,
        events.c.notice == "held",
        ~select(notices.c.event_number).where(notices.c.event_number == events.c.number).exists(),
    ),
)
_DUE: Select[Any] = (
    select(
        events,
        notices.c.due_at,
        people.c.disabled,
        *(column for column in notice_wishes.c if column.name != "person_key"),
    )
    .select_from(
        notices.join(events, events.c.number == notices.c.event_number)
        .outerjoin(people, people.c.key == events.c.sender_key)
        .outerjoin(notice_wishes, notice_wishes.c.person_key == events.c.sender_key)
    )
    .where(notices.c.letter.is_(None))
    .order_by(notices.c.due_at, events.c.number)
)


def owe_notices(connection: Connection, owing: Sequence[Owing]) -> None:
    """Owe notices to those who want mail of events of this transaction, once each."""
    if not owing:
        return
    connection.execute(_HOLD, [{"of_event": one.event_id} for one in owing])
    connection.execute(_OWE, [{"of_event": one.event_id, "at": one.due_at} for one in owing])


def take_back(connection: Connection, event_ids: Sequence[str]) -> None:
    """Let events be told to nobody, as far as no mail tells of them already."""
    if event_ids:
        of_these = select(events.c.number).where(events.c.event_id.in_(list(event_ids)))
        waiting = (notices.c.event_number.in_(of_these), notices.c.letter.is_(None))
        drop_notices(
            connection, list(connection.scalars(select(notices.c.event_number).where(*waiting)))
        )


def next_due(connection: Connection) -> datetime | None:
    """Return when the next notice is due."""
    waiting = select(func.min(notices.c.due_at)).where(notices.c.letter.is_(None))
    due_at: datetime | None = connection.scalar(waiting)
    return due_at


def select_due_notices(connection: Connection, now: datetime, limit: int) -> list[DueNotice]:
    """Return notices whose time has come, in order."""
    due = _DUE.where(notices.c.due_at <= now).limit(limit)
    return [_due_of(row) for row in connection.execute(due)]


def _due_of(row: Row[Any]) -> DueNotice:
    reachable = row.disabled is False
    wish = read_wish(row) if reachable else None
    return DueNotice(row.number, row.due_at, read_event(row), row.sender_key, wish)


def drop_notices(connection: Connection, numbers: Sequence[int]) -> None:
    """Let events be told to nobody."""
    _say(connection, numbers, "none")
    _delete(connection, numbers)


def postpone_notices(connection: Connection, numbers: Iterable[int], due_at: datetime) -> None:
    """Let notices wait longer."""
    rows = [{"of": number} for number in numbers]
    if rows:
        one = update(notices).where(notices.c.event_number == bindparam("of"))
        connection.execute(one.values(due_at=due_at), rows)


def settle_letter(connection: Connection, letter: NoticeLetter, numbers: Iterable[int]) -> None:
    """Settle that one mail tells of these."""
    values = {"name": letter.name, "person_key": letter.person_key, "at": letter.at}
    connection.execute(notice_letters.insert().values(**values, closed=False))
    one = update(notices).where(notices.c.event_number == bindparam("of"))
    if rows := [{"of": number} for number in numbers]:
        connection.execute(one.values(letter=letter.name), rows)


def latest_letters(connection: Connection, person_key: str, now: datetime) -> list[datetime]:
    """Return when somebody had mails within LETTERS_LAST, the oldest first."""
    mine = (notice_letters.c.person_key == person_key, notice_letters.c.at > now - LETTERS_LAST)
    statement = select(notice_letters.c.at).where(*mine).order_by(notice_letters.c.at)
    return list(connection.scalars(statement))


def open_letters(connection: Connection) -> list[OpenLetter]:
    """Return the mails that the spool may not have yet, in order."""
    pending = (
        select(notice_letters, people.c.address)
        .outerjoin(people, people.c.key == notice_letters.c.person_key)
        .where(notice_letters.c.closed.is_(False))
        .order_by(notice_letters.c.name)
    )
    return [
        OpenLetter(
            NoticeLetter(row.name, row.person_key, row.at), row.address, _told(connection, row.name)
        )
        for row in connection.execute(pending).all()
    ]


def _told(connection: Connection, name: str) -> tuple[Event, ...]:
    statement: Select[Any] = (
        select(events)
        .join(notices, notices.c.event_number == events.c.number)
        .where(notices.c.letter == name)
        .order_by(events.c.number)
    )
    return tuple(map(read_event, connection.execute(statement)))


def close_letter(connection: Connection, name: str, now: datetime, *, sent: bool) -> None:
    """Keep that a mail is owed by the spool, or that it was not needed any more."""
    of_it = select(notices.c.event_number).where(notices.c.letter == name)
    numbers = list(connection.scalars(of_it))
    _say(connection, numbers, "sent" if sent else "none")
    _delete(connection, numbers)
    this = notice_letters.c.name == name
    connection.execute(update(notice_letters).where(this).values(closed=True))
    old = notice_letters.c.at <= now - LETTERS_LAST
    connection.execute(delete(notice_letters).where(old, notice_letters.c.closed))


def forget_letters(connection: Connection, person_key: str) -> None:
    """Erase that somebody had mails."""
    connection.execute(delete(notice_letters).where(notice_letters.c.person_key == person_key))


def _say(connection: Connection, numbers: Sequence[int], notice: str) -> None:
    if numbers:
        one = update(events).where(events.c.number == bindparam("of")).values(notice=notice)
        connection.execute(one, [{"of": number} for number in numbers])


def _delete(connection: Connection, numbers: Sequence[int]) -> None:
    if numbers:
        one = delete(notices).where(notices.c.event_number == bindparam("of"))
        connection.execute(one, [{"of": number} for number in numbers])
