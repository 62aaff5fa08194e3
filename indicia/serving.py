"""The programs, run until a signal ends them.

They are started from what is asked to what asks: the relay takes mail only when the collector
answers for it.  They are stopped the other way round.
"""

import asyncio
import gc
import logging
import os
import resource
import socket
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import TextIO, cast

import structlog
import uvloop

from collector.app import Part, run_collector
from collector.console.access import make_sign_in_link
from collector.console.app import run_console
from config.kinds import Endpoint
from config.settings import Settings
from indicia.acting import OPERATOR, operator
from indicia.calling import command_line
from indicia.failure import Failure
from indicia.judging import decide_by
from indicia.printing import print_line
from indicia.purging import purging
from indicia.sockets import Sockets, given_sockets, open_sockets
from indicia.storage import opened_stores
from indicia.supervising import Worker, ending_signals, run_workers
from ledger.keys import KeyRing, load_keys
from ledger.migrate import Stores
from relay.app import run_relay

_GARBAGE = 20_000
"""Objects made and not freed before the youngest are looked through: some 5 MB; Python has 700."""


_FILES = 16_384
"""Relay and collector take 6,500 connections at most; the rest is for upstreams and stores."""


class Program(StrEnum):
    """What runs, in the order of starting."""

    COLLECTOR = "collector"
    CONSOLE = "console"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a process stands on."""

    settings: Settings
    keys: KeyRing
    sockets: Sockets
    worker: Worker


def run_programs(settings: Settings, programs: Sequence[Program], workers: int = 1) -> None:
    """Run programs until a signal ends them; one program in so many processes.

    Raises Failure where one can not listen, StoreError and KeyFileError.
    """
    _set_up_log()
    _allow_files()
    keys = load_keys(settings.keys_dir)
    sockets = given_sockets(os.environ, programs)
    if workers == 1:
        _work(_Ground(settings, keys, sockets, Worker()), programs)
        return
    sockets = sockets or {one: _opened(one, _listen(settings, one)) for one in programs}

    def release() -> None:
        for opened in sockets.values():
            for one in opened:
                one.close()

    run_workers(workers, lambda me: _work(_Ground(settings, keys, sockets, me), programs), release)


def _work(ground: _Ground, programs: Sequence[Program]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(ground, programs))


async def _run(ground: _Ground, programs: Sequence[Program]) -> None:
    stop, settings, worker = asyncio.Event(), ground.settings, ground.worker
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stop.set)
    if worker.parent is not None:
        structlog.contextvars.bind_contextvars(worker=worker.number)
        loop.add_reader(worker.parent, stop.set)  # it can be read when nobody can write it any more
    async with AsyncExitStack() as running:
        stores = await running.enter_async_context(opened_stores(settings))
        lines: list[str] = []
        for program in programs:
            lines += await _start(program, ground, stores, running)
        await running.enter_async_context(purging(settings, stores))
        worker.say_ready()
        if worker.number or worker.again:
            lines = []
        elif Program.CONSOLE in programs:
            link = await make_sign_in_link(
                stores.ledger, settings.console.public_url, OPERATOR, operator(settings)
            )
            lines.append(f"sign in    {link} (once, within 12 hours)")
        if lines:
            _print_start(settings, programs, lines)
        quiet_gc()
        await stop.wait()
        structlog.get_logger().info("stop.asked")


def _print_start(settings: Settings, programs: Sequence[Program], lines: Sequence[str]) -> None:
    print_line(f"Indicia {version('indicia')}")
    for line in lines:
        print_line(f"  {line}")
    if settings.captures and Program.RELAY in programs:
        print_line(f"  try        {command_line()} sandbox send")
    sys.stdout.flush()


async def _start(
    program: Program, ground: _Ground, stores: Stores, running: AsyncExitStack
) -> list[str]:
    """Start one program; return what is told of it."""
    settings, keys, sockets = ground.settings, ground.keys, ground.sockets.get(program, ())
    context: AbstractAsyncContextManager[tuple[int, ...]]
    match program:
        case Program.COLLECTOR:
            judges = ground.worker.number == 0
            context = run_collector(settings, stores, keys, Part(sockets, judges=judges))
        case Program.CONSOLE:
            context = run_console(settings, stores, decide_by(settings), sockets)
        case Program.RELAY:
            context = run_relay(settings, stores, keys, sockets)
    listen = _listen(settings, program)
    try:
        ports = await running.enter_async_context(context)
    except OSError as error:
        raise _unheard(program, listen, error) from error
    scheme = "smtp" if program is Program.RELAY else "http"
    note = " (mail is captured)" if program is Program.RELAY and settings.captures else ""
    hosts = [one.getsockname()[0] for one in sockets] or [endpoint.host for endpoint in listen]
    return [
        f"{program:<10} {scheme}://{Endpoint(host, port)}{note}"
        for host, port in zip(hosts, ports, strict=False)
    ]


def _listen(settings: Settings, program: Program) -> Sequence[Endpoint]:
    match program:
        case Program.COLLECTOR:
            return settings.collector.listen
        case Program.CONSOLE:
            return settings.console.listen
        case Program.RELAY:
            return settings.relay.listen


def _opened(program: Program, listen: Sequence[Endpoint]) -> Sequence[socket.socket]:
    try:
        return open_sockets(listen)
    except OSError as error:
        raise _unheard(program, listen, error) from error


def _unheard(program: Program, listen: Sequence[Endpoint], error: OSError) -> Failure:
    addresses = ", ".join(map(str, listen))
    return Failure(f"the {program} can not listen on {addresses}: {_reason(error)}")


def _allow_files() -> None:
    """Take as many open files as the system lets one have: each connection is one.

    A login of Debian starts with 1,024 of them, and may raise it to 1,048,576 by itself.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def quiet_gc() -> None:
    """Let Python look for cycles of garbage rarely, and not among what was there at the start.

    Each thousand hits or so it went through all that the libraries have loaded, for a twentieth of
    the time of a hit; what a hit leaves behind has hardly a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


def _reason(error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return f"{reason}; stop what runs there, or configure another address"


def _set_up_log() -> None:
    """Write log lines to standard error: instant, level, event, then key=value."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )


class _Unfailing:
    """A text stream of which nobody hears that it could not be written.

    A log on a full disk, or whose reader has gone, must not stop the mail it tells of.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()
