"""The queue: what waits and why, and what an operator does about it."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from config.settings import Settings
from indicia.acting import operator
from indicia.failure import USAGE, Failure
from indicia.printing import columns, plain_text, print_json, print_line, table
from indicia.reviewing import read_since
from indicia.storage import existing_stores
from ledger.acts import Action, Result, act_on_queue, audit_action
from ledger.ident import is_ident
from ledger.queue import QueuedCopy, QueueFilter, Waiting, copy_object, find_queued

_WIDTHS = (19, 9, 6, 9, 5, 30, 24)
_HEAD = ("copy", "why", "age", "next", "tries", "to", "from", "last reply")
_MAX_COPY_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Meant:
    """Which copies are meant, as the words of a command say it."""

    names: Sequence[str] = ()
    """Of copies and of sends."""
    older: str | None = None
    recipient: str | None = None
    sender: str | None = None
    reply: str | None = None
    upstream: str | None = None
    waiting: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done, and how it was asked for."""

    do: str
    """retry, hold, release or drop."""
    bounce: bool = False
    everything: bool = False
    sure: bool = False

    @property
    def action(self) -> Action:
        """What it comes to."""
        return Action.BOUNCE if self.do == "drop" and self.bounce else _ACTIONS[self.do]


_ACTIONS = {
    "retry": Action.RETRY,
    "hold": Action.HOLD,
    "release": Action.RELEASE,
    "drop": Action.DROP,
}

_TOLD: Mapping[Result, str] = {
    Result.DONE: "",
    Result.WHEN_ENDED: "being tried: when this attempt ends, unless it delivers",
    Result.BY_RELAY: "by the relay, which writes to the sender: within 5 seconds where it runs",
    Result.UNDER_WAY: "being tried already",
    Result.AS_IT_WAS: "nothing to do, it was so before or was given up",
    Result.HELD: "not done: it is held, so release it first",
    Result.GONE: "settled meanwhile",
}


def read_filter(meant: Meant) -> QueueFilter:
    """Return the filter that the words of a command say.  Raises Failure."""
    names, older = meant.names, meant.older
    return QueueFilter(
        copy_ids=tuple(int(name) for name in names if _is_copy_id(name)),
        send_ids=tuple(name for name in names if not _is_copy_id(name) and _is_send_id(name)),
        received_before=None if older is None else read_since(older, datetime.now(UTC), "--older"),
        recipient=meant.recipient,
        sender=meant.sender,
        reply=meant.reply,
        upstream=meant.upstream,
        waiting=frozenset(map(_waiting, meant.waiting)),
    )


def list_copies(settings: Settings, wanted: QueueFilter, *, as_json: bool) -> None:
    """Print a line for each copy, those due first first, held ones last."""
    asyncio.run(_list(settings, wanted, as_json=as_json))


def show_copies(settings: Settings, wanted: QueueFilter, *, as_json: bool) -> None:
    """Print all that is known of the copies that are meant.

    Raises Failure where there is none, or none was named.
    """
    if wanted.is_empty:
        msg = "say which: the ID of a copy or a send, or an option such as --recipient"
        raise Failure(msg, USAGE)
    asyncio.run(_show(settings, wanted, as_json=as_json))


def act(settings: Settings, wanted: QueueFilter, wish: Wish, *, as_json: bool) -> None:
    """Do what is wished and print what came of it.

    Raises Failure where nothing is meant, or something could not be done.
    """
    if wanted.is_empty and not wish.everything:
        msg = f"say which to {wish.do}: an ID, an option such as --recipient, or --all"
        raise Failure(msg, USAGE)
    if wish.do == "drop" and not wish.sure:
        _confirm(*asyncio.run(_count(settings, wanted)), wish)
    asyncio.run(_act(settings, wanted, wish, as_json=as_json))


async def _list(settings: Settings, wanted: QueueFilter, *, as_json: bool) -> None:
    now, waiting = datetime.now(UTC), Counter[Waiting]()
    async for copy in _found(settings, wanted, now):
        if as_json:
            print_json(copy_object(copy, now))
            continue
        if not waiting:
            print_line(columns(_HEAD, _WIDTHS))
        waiting[copy.why(now)] += 1
        print_line(columns(_row(copy, now), _WIDTHS))
    if not as_json:
        print_line(_summary(waiting, wanted))


def _summary(waiting: Counter[Waiting], wanted: QueueFilter) -> str:
    if not waiting:
        return "nothing waits" if wanted.is_empty else "nothing in the queue matches"
    kinds = ", ".join(f"{waiting[why]} {_why(why)}" for why in Waiting if waiting[why])
    return f"{_copies(waiting.total())}: {kinds}"


async def _show(settings: Settings, wanted: QueueFilter, *, as_json: bool) -> None:
    now, shown = datetime.now(UTC), False
    async for copy in _found(settings, wanted, now):
        if as_json:
            print_json(copy_object(copy, now))
        else:
            for line in (*([""] if shown else []), *_told(copy, now)):
                print_line(line)
        shown = True
    if not shown:
        raise Failure(_NOT_THERE)


_NOT_THERE = "nothing in the queue matches; what is settled is told by: indicia show SEND_ID"


async def _act(settings: Settings, wanted: QueueFilter, wish: Wish, *, as_json: bool) -> None:
    author, results = operator(settings), Counter[Result]()
    sends: dict[str, None] = {}
    async with existing_stores(settings) as stores:
        async for copy, result in act_on_queue(stores.spool, wish.action, wanted, author):
            results[result] += 1
            if result.is_done:
                sends[copy.send_id] = None
            if as_json:
                print_json(
                    {
                        "copy_id": str(copy.copy_id),
                        "send_id": copy.send_id,
                        "action": wish.action.value,
                        "result": result.value,
                    }
                )
        if sends:
            done = sum(number for result, number in results.items() if result.is_done)
            await audit_action(stores.ledger, author, wish.action, list(sends), done)
    if not results:
        raise Failure(_NOT_THERE)
    if not as_json:
        for line in _outcome(wish, results):
            print_line(line)
    if results[Result.HELD]:
        msg = f"{_copies(results[Result.HELD])} could not be tried, being held"
        raise Failure(msg)


def _outcome(wish: Wish, results: Mapping[Result, int]) -> Iterator[str]:
    for result, number in results.items():
        note = f" ({_TOLD[result]})" if _TOLD[result] else ""
        verb = wish.action.value if result.is_done else "left"
        yield f"{verb} {_copies(number)}{note}"


async def _count(settings: Settings, wanted: QueueFilter) -> tuple[int, int]:
    """Return how many copies are meant, and how many recipients wait for them."""
    copies, people = 0, 0
    async for copy in _found(settings, wanted, datetime.now(UTC)):
        copies, people = copies + 1, people + len(copy.pending)
    return copies, people


def _confirm(copies: int, people: int, wish: Wish) -> None:
    """Return where a person at the terminal says yes.  Raises Failure."""
    if not copies:
        raise Failure(_NOT_THERE)
    told = "their senders are told" if wish.bounce else "nobody is told; --bounce tells the senders"
    if not _is_terminal():
        msg = f"this would drop {_copies(copies)} for {people} recipients; add --yes to do it"
        raise Failure(msg, USAGE)
    print_line(f"This drops {_copies(copies)} for {people} recipients; {told}.")
    answer = input("Drop them? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        msg = "nothing was dropped"
        raise Failure(msg)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


async def _found(
    settings: Settings, wanted: QueueFilter, now: datetime
) -> AsyncIterator[QueuedCopy]:
    async with existing_stores(settings) as stores:
        async for copy in find_queued(stores.spool, wanted, now):
            yield copy


def _row(copy: QueuedCopy, now: datetime) -> tuple[object, ...]:
    waiting = [one.recipient for one in copy.pending]
    more = f" +{len(waiting) - 1}" if len(waiting) > 1 else ""
    return (
        copy.copy_id,
        _why(copy.why(now)),
        _span(now - copy.received_at),
        _next(copy, now),
        copy.attempts,
        f"{waiting[0]}{more}",
        copy.sender or "<>",
        copy.reply or "",
    )


def _told(copy: QueuedCopy, now: datetime) -> Iterator[str]:
    said = (
        ("copy", copy.copy_id),
        ("send", copy.send_id),
        ("why", _why(copy.why(now))),
        ("from", copy.sender or "<> (a report)"),
        ("subject", copy.subject or ""),
        ("message id", copy.message_id or ""),
        ("accepted", f"{_instant(copy.received_at)}, {_span(now - copy.received_at)} ago"),
        ("mode", copy.mode),
        ("attempts", copy.attempts),
        ("last attempt", "" if copy.tried_at is None else _instant(copy.tried_at)),
        ("upstream", copy.upstream or ""),
        ("next attempt", "" if copy.held else f"{_instant(copy.due_at)}, {_next(copy, now)}"),
    )
    yield from table([row for row in said if row[1] != ""])
    rows = [
        (one.recipient_type, one.recipient, one.state, one.reply or "") for one in copy.recipients
    ]
    yield from table(rows, "  ")


def _next(copy: QueuedCopy, now: datetime) -> str:
    why = copy.why(now)
    if copy.held or why is Waiting.UNDER_WAY:
        return "now" if why is Waiting.UNDER_WAY else ""
    return f"in {_span(copy.due_at - now)}" if copy.due_at > now else "now"


def _span(span: timedelta) -> str:
    """Return a span in its largest unit: 40s, 12m, 5h, 3d."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _why(why: Waiting) -> str:
    return why.value.replace("_", " ")


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"


def _is_copy_id(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 20 and int(name) <= _MAX_COPY_ID  # noqa: PLR2004 - digits of 2**63


def _is_send_id(name: str) -> bool:
    if not is_ident(name):
        msg = f"{plain_text(name)} is no ID; write a copy_id or send_id, as list and log show them"
        raise Failure(msg, USAGE)
    return True


def _waiting(word: str) -> Waiting:
    try:
        return Waiting(word.replace("-", "_"))
    except ValueError:
        known = ", ".join(Waiting)
        msg = f"--waiting {word!r} is no reason to wait; write one of {known}"
        raise Failure(msg, USAGE) from None
