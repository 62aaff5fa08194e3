"""The programs, run in one process until a signal ends them.

They are started from what is asked to what asks: the relay takes mail only when the collector
answers for it.  They are stopped the other way round.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from enum import StrEnum
from importlib.metadata import version
from typing import TextIO, cast

import structlog
import uvloop

from collector.app import run_collector
from collector.console.access import make_sign_in_link
from collector.console.app import run_console
from config.kinds import Endpoint
from config.settings import Settings
from indicia.acting import OPERATOR, operator
from indicia.calling import command_line
from indicia.failure import Failure
from indicia.printing import print_line
from indicia.purging import purging
from indicia.storage import opened_stores
from ledger.keys import KeyRing, load_keys
from ledger.migrate import Stores
from relay.app import run_relay

_GARBAGE = 20_000
"""Objects made and not freed before the youngest are looked through: some 5 MB; Python has 700."""


class Program(StrEnum):
    """What runs, in the order of starting."""

    COLLECTOR = "collector"
    CONSOLE = "console"
    RELAY = "relay"


def run_programs(settings: Settings, programs: Sequence[Program]) -> None:
    """Run programs until SIGINT or SIGTERM.

    Raises Failure where one can not listen, StoreError and KeyFileError.
    """
    _set_up_log()
    keys = load_keys(settings.keys_dir)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, keys, programs))


async def _run(settings: Settings, keys: KeyRing, programs: Sequence[Program]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as running:
        stores = await running.enter_async_context(opened_stores(settings))
        lines: list[str] = []
        for program in programs:
            lines += await _start(program, settings, stores, (keys, running))
        await running.enter_async_context(purging(settings, stores))
        if Program.CONSOLE in programs:
            link = await make_sign_in_link(
                stores.ledger, settings.console.public_url, OPERATOR, operator(settings)
            )
            lines.append(f"sign in    {link} (once, within 12 hours)")
        if settings.captures and Program.RELAY in programs:
            lines.append(f"try        {command_line()} sandbox send")
        quiet_gc()
        print_line(f"Indicia {version('indicia')}")
        for line in lines:
            print_line(f"  {line}")
        sys.stdout.flush()
        await stop.wait()
        structlog.get_logger().info("stop.asked")


async def _start(
    program: Program, settings: Settings, stores: Stores, around: tuple[KeyRing, AsyncExitStack]
) -> list[str]:
    """Start one program; return what is told of it."""
    keys, running = around
    match program:
        case Program.COLLECTOR:
            listen, context = settings.collector.listen, run_collector(settings, stores, keys)
        case Program.CONSOLE:
            listen, context = settings.console.listen, run_console(settings, stores)
        case Program.RELAY:
            listen, context = settings.relay.listen, run_relay(settings, stores, keys)
    try:
        ports = await running.enter_async_context(context)
    except OSError as error:
        addresses = ", ".join(map(str, listen))
        msg = f"the {program} can not listen on {addresses}: {_reason(error)}"
        raise Failure(msg) from error
    scheme = "smtp" if program is Program.RELAY else "http"
    note = " (mail is captured)" if program is Program.RELAY and settings.captures else ""
    return [
        f"{program:<10} {scheme}://{Endpoint(endpoint.host, port)}{note}"
        for endpoint, port in zip(listen, ports, strict=False)
    ]


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
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
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
