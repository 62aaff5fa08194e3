"""Every named point between two steps of the way in, the way out and the way of the facts.

The product has no hook for it: in the forked process a function is wrapped, and at its nth passage
the process kills itself, before the function or after it.
"""

import asyncio
import functools
import importlib
import inspect
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

BEFORE, AFTER, LEFT, HALF, UNCOMMITTED = "before", "after", "left", "half", "uncommitted"
"""LEFT: after it, when what was written has left.  HALF: with half of the content written.
UNCOMMITTED: rows written, no commit."""

_LEAVES_S = 0.004
"""For the loop to turn and the socket to take what was written."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where the process dies."""

    name: str
    owner: str
    """Module and name of the function as its caller sees it."""
    when: str = BEFORE
    counts: str = ""
    """Which passages count, by a name in _COUNTS; empty: all."""
    up_to: int = 8
    """The nth passage is drawn from 1 to this."""


POINTS = (
    Point("start: stores open, nothing listens", "relay.dispatch:Dispatch.run", up_to=1),
    # the way in
    Point("in: read whole, not understood", "relay.intake:Intake.take_in"),
    Point("in: prepared, not stored", "relay.spool:Spool.store"),
    Point("in: stored, nobody told", "relay.spool:Spool.store", AFTER),
    Point("in: 250 not written", "relay.accept.session:Session._say", BEFORE, "promise"),
    Point("in: 250 written", "relay.accept.session:Session._say", LEFT, "promise"),
    # the spool's transactions, whichever step they are for
    Point(
        "spool: rows written, not committed", "ledger.engine:Store.transact", UNCOMMITTED, "", 30
    ),
    Point("spool: committed, nobody told", "ledger.engine:Store.transact", AFTER, "", 30),
    # the way out
    Point("out: durable, not carried yet", "relay.dispatch:Dispatch.carry"),
    Point("out: before claiming", "relay.spool:Spool.claim"),
    Point("out: claimed", "relay.spool:Spool.claim", AFTER, "some"),
    Point("out: before the next hop", "relay.deliver.hop:NextHop.deliver_copy"),
    Point("out: connected, nothing said", "relay.deliver.hop:send_message"),
    Point("out: MAIL, RCPT, DATA written", "relay.deliver.wire:Wire.write", LEFT),
    Point("out: 354 heard", "relay.deliver.wire:Wire.write_content"),
    Point("out: half of the content written", "relay.deliver.wire:Wire.write_content", HALF),
    Point("out: dot not sent off", "relay.deliver.wire:Wire.write_content", AFTER),
    Point("out: dot sent off", "relay.deliver.wire:Wire.write_content", LEFT),
    Point("out: answer heard", "relay.deliver.wire:Wire.reply", AFTER, "kept"),
    Point("out: outcome known", "relay.deliver.hop:NextHop.deliver_copy", AFTER),
    Point("out: before the mark", "relay.spool:Spool.settle", BEFORE, "final"),
    Point("out: marked", "relay.spool:Spool.settle", AFTER, "final"),
    Point("out: before it is put off", "relay.spool:Spool.settle", BEFORE, "put off", 2),
    Point("out: put off", "relay.spool:Spool.settle", AFTER, "put off", 2),
    Point("out: report written, not stored", "relay.spool:Spool.settle", BEFORE, "report", 2),
    Point("out: report stored", "relay.spool:Spool.settle", AFTER, "report", 2),
    # the way of the facts
    Point("facts: read", "relay.forward:read_owed", AFTER, "some", 3),
    Point("facts: in the ledger, not committed", "relay.forward:write_facts", AFTER, "", 3),
    Point("facts: the ledger has them", "relay.forward:drop_owed", BEFORE, "", 3),
    Point("facts: deleted, not committed", "relay.forward:drop_owed", AFTER, "", 3),
    Point("facts: brought over", "relay.forward:Forwarder.forward_batch", AFTER, "some", 3),
)

_COUNTS: dict[str, Callable[[tuple[Any, ...], Any], bool]] = {
    "": lambda _args, _result: True,
    "some": lambda _args, result: bool(result),
    "promise": lambda args, _result: str(args[1]).startswith("250 2.0.0 OK 0"),
    "kept": lambda _args, result: "kept <" in str(result),
    "final": lambda args, _result: args[1].due_at is None,
    "put off": lambda args, _result: args[1].due_at is not None,
    "report": lambda args, _result: bool(args[1].notices),
}


def arm(point: Point, nth: int) -> None:
    """Let this process die at the nth passage of a point."""
    holder, name = _resolve(point.owner)
    original = getattr(holder, name)
    passages, counting = count(1), _COUNTS[point.counts]

    def passed(args: tuple[Any, ...], result: Any) -> bool:
        return counting(args, result) and next(passages) == nth

    makers = {BEFORE: _before, AFTER: _after, LEFT: _left, HALF: _half, UNCOMMITTED: _uncommitted}
    wrapped = makers[point.when](original, passed)
    setattr(holder, name, functools.wraps(original)(wrapped))


_Passed = Callable[[tuple[Any, ...], Any], bool]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _resolve(owner: str) -> tuple[Any, str]:
    module, _, path = owner.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    assert hasattr(holder, name), f"{owner} is gone: name what took its place in points.py"
    return holder, name


def _before(original: Any, passed: _Passed) -> Any:
    def wrapped(*args: Any, **named: Any) -> Any:
        if passed(args, None):
            die()
        return original(*args, **named)

    return wrapped


def _after(original: Any, passed: _Passed) -> Any:
    def at_once(*args: Any, **named: Any) -> Any:
        result = original(*args, **named)
        if passed(args, result):
            die()
        return result

    async def wrapped(*args: Any, **named: Any) -> Any:
        result = await original(*args, **named)
        if passed(args, result):
            die()
        return result

    return wrapped if inspect.iscoroutinefunction(original) else at_once


def _left(original: Any, passed: _Passed) -> Any:
    if inspect.iscoroutinefunction(original):

        async def wrapped(*args: Any, **named: Any) -> Any:
            result = await original(*args, **named)
            if passed(args, result):
                await asyncio.sleep(_LEAVES_S)
                die()
            return result

        return wrapped

    def wrapped_call(*args: Any, **named: Any) -> Any:
        result = original(*args, **named)
        if passed(args, result):
            asyncio.get_running_loop().call_later(_LEAVES_S, die)
        return result

    return wrapped_call


def _half(original: Any, passed: _Passed) -> Any:
    async def wrapped(wire: Any, content: bytes, *args: Any) -> Any:
        if passed((wire, content), None):
            wire._write(content[: len(content) // 2])
            await asyncio.sleep(_LEAVES_S)
            die()
        return await original(wire, content, *args)

    return wrapped


def _uncommitted(original: Any, passed: _Passed) -> Any:
    async def wrapped(store: Any, work: Callable[..., Any], *args: Any) -> Any:
        def working(*inner: Any) -> Any:
            result = work(*inner)
            if passed((), result):
                die()
            return result

        return await original(store, working, *args)

    return wrapped


def cycled(points: tuple[Point, ...], start: int) -> Iterator[Point]:
    """Give the points again and again, from position `start` on."""
    while True:
        yield points[start % len(points)]
        start += 1
