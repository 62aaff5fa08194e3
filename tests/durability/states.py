"""The states in which a disk may be found after the power has failed, built from a trace.

What was flushed is there.  Of what was not, anything may be: nothing, all, the first few writes,
any part of any write at sectors of 512 bytes or pages of 4 KB, the last write torn.  A name is
there for certain once its folder has been flushed.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.durability.trace import Event, Flushed, Said, Truncated, Unlinked, Wrote

KINDS = ("nothing", "everything", "prefix", "torn", "sectors", "pages")
_SECTOR, _PAGE = 512, 4096
_KEPT = (".db", ".db-wal")
"""The shared memory of SQLite (-shm) is made anew, locks hold nothing."""


@dataclass(frozen=True, slots=True)
class Named:
    """A file came to be."""

    path: str


_Change = Wrote | Truncated | Named | Unlinked


@dataclass
class Disk:
    """What is certain to be on the disk, and what is under way to it."""

    flushed: dict[str, bytearray]
    named: set[str]
    waiting: list[tuple[int, _Change]] = field(default_factory=list)
    """With the number of its event."""
    seen: set[str] = field(default_factory=set)

    def take(self, number: int, event: Event) -> None:
        """Let an event happen."""
        if isinstance(event, Said) or not self._is_kept(event):
            return
        if isinstance(event, Flushed):
            self._flush(event)
            return
        if isinstance(event, Wrote) and event.path not in self.seen:
            self.seen.add(event.path)
            if event.path not in self.named:
                self.waiting.append((number, Named(event.path)))
        self.waiting.append((number, event))

    def _is_kept(self, event: Wrote | Truncated | Unlinked | Flushed) -> bool:
        return event.path.endswith(_KEPT) or isinstance(event, Flushed)

    def _flush(self, flush: Flushed) -> None:
        left: list[tuple[int, _Change]] = []
        for number, change in self.waiting:
            entry = isinstance(change, Named | Unlinked)
            of_it = str(Path(change.path).parent) if entry else change.path
            if number < flush.begun and of_it == flush.path:
                apply(change, self.flushed, self.named)
            else:
                left.append((number, change))
        self.waiting = left

    def fallen(self, kind: str, dice: random.Random) -> dict[str, bytearray]:
        """Return the files of one state, by path."""
        files = {path: bytearray(content) for path, content in self.flushed.items()}
        named = set(self.named)
        for change in _survivors([change for _, change in self.waiting], kind, dice):
            apply(change, files, named)
        return {path: files.get(path, bytearray()) for path in named}


def apply(change: _Change, files: dict[str, bytearray], named: set[str]) -> None:
    match change:
        case Named(path):
            named.add(path)
        case Unlinked(path=path):
            named.discard(path)
        case Truncated(path=path, size=size):
            content = files.setdefault(path, bytearray())
            del content[size:]
            content.extend(bytes(size - len(content)))
        case Wrote(path=path, offset=offset, content=written):
            assert offset >= 0, f"{path} was not written by pwrite"
            content = files.setdefault(path, bytearray())
            content.extend(bytes(max(offset - len(content), 0)))
            content[offset : offset + len(written)] = written


def _survivors(waiting: list[_Change], kind: str, dice: random.Random) -> Iterator[_Change]:
    match kind:
        case "nothing":
            return
        case "everything":
            yield from waiting
        case "prefix":
            yield from waiting[: dice.randint(0, len(waiting))]
        case "torn":
            some = waiting[: dice.randint(0, len(waiting))]
            yield from some[:-1]
            if some and isinstance(last := some[-1], Wrote):
                kept = last.content[: dice.randrange(len(last.content))]
                yield Wrote(last.at, last.path, last.offset, kept)
        case _:
            size, share = _PAGE if kind == "pages" else _SECTOR, dice.choice((0.1, 0.5, 0.9))
            parts = (part for change in waiting for part in _split(change, size))
            yield from (part for part in parts if dice.random() < share)


def _split(change: _Change, size: int) -> Iterator[_Change]:
    if not isinstance(change, Wrote):
        yield change
        return
    position, end = change.offset, change.offset + len(change.content)
    while position < end:
        until = min(end, (position // size + 1) * size)
        content = change.content[position - change.offset : until - change.offset]
        yield Wrote(change.at, change.path, position, content)
        position = until


def read_base(folder: Path) -> Disk:
    """Return the disk as it lies in a folder, all of it flushed."""
    files = {
        str(path): bytearray(path.read_bytes())
        for path in folder.iterdir()
        if path.name.endswith(_KEPT)
    }
    return Disk(files, set(files))
