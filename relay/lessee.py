"""Which relay processes of this machine are alive: a locked file for each.

Leases bear the name of the process that holds them.  The lock ends with its process, however that
ends, so who gets the lock of another knows that it is dead.
Law: the file of a living process is never taken for that of a dead one.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".lock"


@contextmanager
def hold_name(folder: Path, name: str) -> Iterator[str]:
    """Give a name that others see as alive while the block runs, and no longer.

    Raises OSError where the folder can not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}{_SUFFIX}"
    held = _hold(file)
    try:
        yield name
    finally:
        file.unlink(missing_ok=True)
        os.close(held)


def _hold(file: Path) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            # Before we had the lock somebody may have taken the file for a dead one's.
            if os.fstat(descriptor).st_ino == file.stat().st_ino:
                return descriptor
        os.close(descriptor)


@contextmanager
def bury_dead(folder: Path) -> Iterator[tuple[str, ...]]:
    """Give the names of processes of this folder that are dead; with the block they are forgotten.

    Where the block raises they are found again.
    """
    found: dict[Path, int] = {}
    try:
        for file in sorted(folder.glob(f"*{_SUFFIX}")):
            descriptor = _try(file)
            if descriptor is not None:
                found[file] = descriptor
        yield tuple(file.stem for file in found)
        for file in found:
            file.unlink(missing_ok=True)
    finally:
        for descriptor in found.values():
            os.close(descriptor)


def _try(file: Path) -> int | None:
    """Return the locked file where nobody else has it."""
    with suppress(FileNotFoundError):
        descriptor = os.open(file, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return descriptor
    return None
