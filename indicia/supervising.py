"""Several processes of one program: started, watched, ended.

Law: a worker that dies is started again, unless it never got to work.
Law: no worker outlives its parent.
Law: whenever the parent is asked to end, each worker is, even one that has just been started.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import structlog

from indicia.failure import Failure

RESTART_S = 1.0
"""Before a worker that died is started again."""

_READY = b"1"

Release = Callable[[], None]
"""Lets go of what the parent holds for workers to come."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Worker:
    """What a process is told of its place among the others."""

    number: int = 0
    """Of as many as there are; what one does for all, the first does."""
    again: bool = False
    """Another of its number was there before."""
    ready_to: int | None = None
    """Where it says that it works."""
    parent: int | None = None
    """What ends with the parent."""

    def say_ready(self) -> None:
        """Let the parent know that this process works."""
        if self.ready_to is not None:
            with suppress(BrokenPipeError):  # of one that is started again nobody waits for it
                os.write(self.ready_to, _READY)
            os.close(self.ready_to)


def ending_signals() -> frozenset[signal.Signals]:
    """Return the signals that ask a process to end; SIGHUP is none under nohup(1)."""
    always = frozenset({signal.SIGINT, signal.SIGTERM})
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return always if ignored else always | {signal.SIGHUP}


class _Crew:
    """The workers that live, as their parent knows them."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self.pid = os.getpid()
        self.numbers: dict[int, int] = {}
        self.stopping = False
        self.life, self._held = os.pipe()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask all to end; each ends what it is at."""
        self.stopping = True
        self._release()
        for pid in self.numbers:
            _end(pid)

    def start(self, number: int, *, again: bool) -> Worker | None:
        """Start a worker; give it to the child, and None to the parent, once the child works.

        Raises Failure where the child has ended without having worked.
        """
        ready, ready_to = os.pipe()
        pid = _fork()
        if pid == 0:
            os.close(ready)
            os.close(self._held)
            return Worker(number, again=again, ready_to=ready_to, parent=self.life)
        os.close(ready_to)
        self.numbers[pid] = number
        if self.stopping:
            _end(pid)
        with os.fdopen(ready, "rb") as said:
            works = again or said.read(1) == _READY
        if not (works or self.stopping):
            self.stop()
            msg = f"worker {number} has ended before it worked; the lines above say why"
            raise Failure(msg)
        return None


def run_workers(count: int, work: Callable[[Worker], None], release: Release) -> None:
    """Run `work` in so many processes until a signal ends them; return in each when it has ended.

    `release` is called in the parent when they are asked to end: nobody is started any more.
    Nothing may have been started in this process: no thread, no loop, no database.
    Raises Failure where one does not come to work at the first start; what `work` raises is raised
    in its process.
    """
    crew = _Crew(release)
    for name in ending_signals():
        signal.signal(name, crew.stop)
    try:
        for number in range(count):
            if not crew.stopping and (me := crew.start(number, again=False)) is not None:
                work(me)
                return
        if (me := _watch(crew)) is not None:
            work(me)
    finally:
        if os.getpid() == crew.pid:
            _bury(crew)


def _watch(crew: _Crew) -> Worker | None:
    """Start again who dies, until all have ended; return a worker in the process it is."""
    while crew.numbers:
        pid, status = os.wait()
        number = crew.numbers.pop(pid, None)
        if number is None or crew.stopping:
            continue
        _log.error("worker.died", worker=number, pid=pid, status=os.waitstatus_to_exitcode(status))
        time.sleep(RESTART_S)
        if not crew.stopping and (me := crew.start(number, again=True)) is not None:
            return me
    return None


def _fork() -> int:
    """Fork; return 0 in the child.

    No signal may come while the child has the parent's handlers: it would be heard by nobody, and
    the parent wait for ever.
    """
    ending = ending_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    pid = os.fork()
    if pid == 0:
        for name in ending:
            signal.signal(name, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)
    return pid


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, signal.SIGTERM)


def _bury(crew: _Crew) -> None:
    for pid in tuple(crew.numbers):
        os.waitpid(pid, 0)
        crew.numbers.pop(pid)
