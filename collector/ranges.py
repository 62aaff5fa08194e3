"""The files of published ranges, followed while the collector runs.

Law: a file that can not be used leaves in force what it last said, and is told once.
Each hit sees all files as they were at one moment.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from collector.hit import IpAddress
from collector.published import RangeList, RangesError, marks_of, read_ranges

LOOK_S = 2.0
"""Between two looks at the folder: nobody waits for a list."""

ENDING = ".ranges"

MAX_BYTES = 20_000_000
"""Of one file; Apple's list of its relays, the longest known, has 280,000 lines and 10 MB."""

_NAME = re.compile(r"[A-Za-z0-9_-]+\.ranges")

_Signature = tuple[int, ...]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reading:
    """The files of a folder."""

    lists: Mapping[str, RangeList] = field(default_factory=dict)
    """By file name: those in order."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """By file name: why it can not be used, and the mend; of the folder itself by an empty one."""


def read_folder(folder: Path) -> Reading:
    """Return what the files of a folder say; other names than `*.ranges` are not looked at."""
    lists: dict[str, RangeList] = {}
    faults: dict[str, str] = {}
    try:
        names = _signatures(folder)
    except OSError as error:
        mend = "make the folder, let the collector's user read it, or name another"
        return Reading(faults={"": f"{folder} can not be read ({error.strerror}); {mend}"})
    for name in names:
        try:
            lists[name] = _read(folder / name)
        except RangesError as error:
            faults[name] = str(error)
    return Reading(lists, faults)


class Ranges:
    """The ranges in force in one process."""

    def __init__(self, folder: Path | None) -> None:
        """Read the folder, where there is one."""
        self._folder = folder
        self._seen = self._look()
        self._lists: Mapping[str, RangeList] = {}
        self._stopped = asyncio.Event()
        if folder is not None:
            self._take(read_folder(folder))

    def marks(self, address: IpAddress | None) -> tuple[str, ...]:
        """Return the marks of the lists that hold an address."""
        return marks_of(self._lists.values(), address)

    async def follow(self) -> None:
        """Read the folder again whenever it has changed, until stopped."""
        while self._folder is not None and not self._stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), LOOK_S)
            seen = await asyncio.to_thread(self._look)
            if seen != self._seen:
                self._seen = seen  # of before the reading: what changes meanwhile is read again
                self._take(await asyncio.to_thread(read_folder, self._folder))

    def stop(self) -> None:
        """Let `follow` end."""
        self._stopped.set()

    def _take(self, reading: Reading) -> None:
        for fault in reading.faults.values():
            _log.error("ranges.broken", why=fault, goes_on_with="what it last said, if anything")
        if "" in reading.faults:
            return
        last = {name: self._lists[name] for name in reading.faults if name in self._lists}
        self._lists = {**reading.lists, **last}
        _log.info("ranges.read", files=len(reading.lists), broken=len(reading.faults))

    def _look(self) -> Sequence[tuple[str, _Signature]] | None:
        if self._folder is None:
            return None
        try:
            return tuple(_signatures(self._folder).items())
        except OSError:
            return None


def _read(file: Path) -> RangeList:
    if _NAME.fullmatch(file.name) is None:
        msg = f"{file}: events show its name; let it be of letters, digits, - and _"
        raise RangesError(msg)
    if file.exists() and not file.is_file():
        msg = f"{file} is no file; put one in its place, or give it another ending"
        raise RangesError(msg)
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            msg = f"{file}: has over {MAX_BYTES} bytes; split it, or put another in its place"
            raise RangesError(msg)
        return read_ranges(file.name.removesuffix(ENDING), raw.decode(), str(file))
    except OSError as error:
        msg = f"{file} can not be read ({error.strerror}); let the collector's user read it"
        raise RangesError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{file}: is not UTF-8 (byte {error.start}); save it as UTF-8"
        raise RangesError(msg) from error


def _signatures(folder: Path) -> Mapping[str, _Signature]:
    """Return what differs when a file was changed, came, or was put in the place of another."""
    found: dict[str, _Signature] = {}
    for file in sorted(folder.iterdir()):
        if file.name.endswith(ENDING):
            try:
                said = file.stat()
            except OSError:  # it has just gone, or leads nowhere
                found[file.name] = ()
            else:
                found[file.name] = (said.st_mtime_ns, said.st_size, said.st_ino)
    return found
