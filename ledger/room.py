"""Whether the disk has room for one more mail, and what is kept free for those it has."""

import os
from pathlib import Path

_RESERVE_BYTES = 64 * 1024 * 1024
"""For marks, bounces and the write-ahead log of mail that was accepted: some 100,000 of them."""

_RESERVE_SHARE = 16
"""At most this part of a small disk is reserved."""

_GROWTH = 2
"""A mail is in the write-ahead log and in the spool at once."""


def has_room(folder: Path, size_bytes: int) -> bool:
    """Tell whether the disk of a folder can take a mail of this size and keep its reserve."""
    disk = os.statvfs(folder)
    free_bytes = disk.f_bavail * disk.f_frsize
    reserve_bytes = min(_RESERVE_BYTES, disk.f_blocks * disk.f_frsize // _RESERVE_SHARE)
    return free_bytes - _GROWTH * size_bytes >= reserve_bytes
