"""What a process wrote, flushed and said, read from strace's output.

It is run so that every string is in hex and whole, and descriptors have their path.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CALLS = (
    "pwrite64,pwritev,write,writev,sendto,sendmsg,ftruncate,fallocate,fdatasync,fsync,"
    "sync_file_range,msync,unlink,unlinkat,rename,renameat,renameat2"
)


def strace(log: Path) -> Sequence[str]:
    """Return the words that run a program under strace."""
    options = ("-f", "--seccomp-bpf", "-qq", "-y", "-ttt", "-xx", "-s", "2097152")
    return ("strace", *options, "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(log), "--")


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes went to a place of a file; an offset of -1: to where the file was."""

    at: float
    path: str
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """A file was cut or grew."""

    at: float
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A name was taken away."""

    at: float
    path: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """A flush of a file or folder has returned; `begun` is the number of the event before it."""

    at: float
    path: str
    begun: int


@dataclass(frozen=True, slots=True)
class Said:
    """Words went to a socket."""

    at: float
    content: bytes


Event = Wrote | Truncated | Unlinked | Flushed | Said

_LINE = re.compile(r"(\d+) +(\d+\.\d+) (?:<\.\.\. )?(\w+)(\(| resumed>)(.*)", re.DOTALL)
_FILE = re.compile(r"-?\d+<((?:\\x[0-9a-f]{2})*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FLUSHES = frozenset({"fdatasync", "fsync"})
_UNKNOWN = frozenset(
    {"pwritev", "fallocate", "sync_file_range", "msync", "rename", "renameat", "renameat2"}
)
"""Not used by SQLite as it is built for Debian; if that changes the model must learn them."""


def read_trace(log: Path, folder: Path) -> list[Event]:
    """Return what happened to the files of a folder, and all that was said, in order.

    A write counts from its call, a flush when it has returned.
    """
    events: list[Event] = []
    flushing: dict[str, tuple[str, int]] = {}
    with log.open() as lines:
        for line in lines:
            match = _LINE.match(line)
            if match is not None:
                events.extend(_read(match, flushing, len(events), str(folder)))
    return events


def _read(
    match: re.Match[str], flushing: dict[str, tuple[str, int]], number: int, folder: str
) -> Iterator[Event]:
    thread, instant, call, opening, rest = match.groups()
    at, resumed = float(instant), opening != "("
    if call in _FLUSHES:
        begun = flushing.pop(thread, None) if resumed else (_path(rest), number)
        if rest.rstrip().endswith("<unfinished ...>"):
            assert begun is not None
            flushing[thread] = begun
        elif begun is not None and rest.rstrip().endswith("= 0") and begun[0].startswith(folder):
            yield Flushed(at, *begun)
        return
    if resumed:
        return
    if call in {"unlink", "unlinkat"}:
        path = _string(rest).decode()
        if path.startswith(folder):
            yield Unlinked(at, path)
        return
    path = _path(rest)
    if path.startswith("socket:"):
        yield Said(at, _string(rest))
    elif path.startswith(folder):
        assert call not in _UNKNOWN, f"the model does not know {call}"
        yield from _file_event(call, at, path, rest)


def _file_event(call: str, at: float, path: str, rest: str) -> Iterator[Event]:
    if call == "ftruncate":
        yield Truncated(at, path, int(rest.partition(", ")[2].partition(")")[0].split()[0]))
    elif call == "pwrite64":
        numbers = rest.rpartition('"')[2].partition(")")[0].split()
        yield Wrote(at, path, int(numbers[2]), _string(rest))
    else:
        yield Wrote(at, path, -1, _string(rest))


def _path(rest: str) -> str:
    match = _FILE.match(rest)
    return "" if match is None else _unhex(match[1]).decode()


def _string(rest: str) -> bytes:
    # writev and sendmsg name several; they are one text on the wire.
    return b"".join(_unhex(text) for text in _STRING.findall(rest))


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
