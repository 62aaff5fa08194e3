"""The room on the disk, and its reserve."""

import os
from pathlib import Path

import pytest

from ledger.room import has_room

MB = 1024 * 1024


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> object:
    def of(total_mb: int, free_mb: float) -> None:
        blocks = (total_mb * 256, int(free_mb * 256))
        stat = os.statvfs_result((4096, 4096, blocks[0], blocks[1], blocks[1], 0, 0, 0, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _: stat)

    return of


@pytest.mark.parametrize(
    ("total_mb", "free_mb", "size_mb", "expected"),
    [
        (100_000, 1000, 25, True),
        (100_000, 64, 0, True),
        (100_000, 63, 0, False),
        (100_000, 114, 25, True),
        (100_000, 113, 25, False),
        (8, 0.5, 0, True),
        (8, 0.4, 0, False),
        (8, 8, 4, False),
    ],
)
def test_a_reserve_is_kept(
    disk: object, total_mb: int, free_mb: float, size_mb: int, *, expected: bool
) -> None:
    disk(total_mb, free_mb)  # type: ignore[operator] # the fixture above
    assert has_room(Path("/"), size_mb * MB) is expected


def test_a_real_disk_answers(tmp_path: Path) -> None:
    assert has_room(tmp_path, 1)
    assert not has_room(tmp_path, 1 << 60)
