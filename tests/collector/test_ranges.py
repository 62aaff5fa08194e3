import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from collector import ranges
from collector.ranges import Ranges, read_folder
from ledger import schema

STRANGE = {"User-Agent": "Strange/1"}
BEHIND = {"trusted_proxies": ["127.0.0.0/8"]}
HERE = ip_address("203.0.113.9")


def put(folder: Path, name: str, text: str) -> None:
    """Put a file in its place at once, as the docs say to do."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.new").write_text(text)
    (folder / f"{name}.new").replace(folder / name)


def test_a_folder_is_read_by_its_endings(tmp_path: Path) -> None:
    put(tmp_path, "a.ranges", "scanner 2026-11-01\n203.0.113.0/24\n")
    put(tmp_path, "README", "no list")
    reading = read_folder(tmp_path)
    assert (list(reading.lists), reading.faults) == (["a.ranges"], {})


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda file: file.write_bytes(b"scanner \xff"), "is not UTF-8 (byte 8); save it as UTF-8"),
        (lambda file: file.symlink_to("nowhere"), "can not be read (No such file or directory)"),
        (lambda file: file.mkdir(), "is no file; put one in its place"),
        (os.mkfifo, "is no file; put one in its place"),
        (lambda file: file.write_text("scanner"), "a.ranges, line 1: is not one of proxy,"),
        (lambda file: file.write_bytes(b"x" * 20_000_001), "has over 20000000 bytes; split it"),
    ],
)
def test_a_file_that_can_not_be_used_is_told_and_the_others_are(
    tmp_path: Path, make: Callable[[Path], object], fault: str
) -> None:
    put(tmp_path, "good.ranges", "scanner 2026-11-01\n203.0.113.0/24\n")
    make(tmp_path / "a.ranges")
    reading = read_folder(tmp_path)
    assert list(reading.lists) == ["good.ranges"]
    (told,) = reading.faults.values()
    assert told.startswith(str(tmp_path / "a.ranges"))
    assert fault in told


def test_a_name_that_could_not_be_shown_is_told(tmp_path: Path) -> None:
    put(tmp_path, "a:b.ranges", "scanner 2026-11-01\n203.0.113.0/24\n")
    (told,) = read_folder(tmp_path).faults.values()
    assert "let it be of letters, digits, - and _" in told


def test_a_folder_that_is_not_there_is_told_and_nothing_is_listed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lists = Ranges(tmp_path / "nowhere")
    assert lists.marks(HERE) == ()
    log = capfd.readouterr().out
    assert "ranges.broken" in log
    assert "can not be read (No such file or directory); make the folder" in log


async def test_without_a_folder_nothing_is_followed() -> None:
    lists = Ranges(None)
    await lists.follow()
    assert lists.marks(HERE) == ()


async def judged_by(house: Any, copy_id: int) -> tuple[str, ...]:
    """Return the reasons of a hit from the listed network, asked for now."""
    await house.send(copy_id)
    await house.ask(house.pixel(copy_id), {**STRANGE, "X-Forwarded-For": str(HERE)})
    return tuple((await house.events_when(copy_id))[-1].reasons)


async def marks_when(house: Any, wanted: list[str], until: Any, copy_ids: list[int]) -> None:
    """Ask until a hit bears these marks: files are looked at every few hundredths of a second."""

    async def look() -> list[str]:
        copy_ids.append(copy_ids[-1] + 1)
        await house.send(copy_ids[-1])
        await house.ask(house.pixel(copy_ids[-1]), {**STRANGE, "X-Forwarded-For": str(HERE)})
        rows = await house.rows(schema.hits)
        (row,) = [one for one in rows if one.copy_id == copy_ids[-1]]
        return [one for one in row.features["lists"] if one.startswith("listed:")]

    assert await until(look, lambda found: found == wanted) == wanted


async def test_files_are_followed_while_the_collector_runs(
    house: Any,
    serve: Any,
    until: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ranges, "LOOK_S", 0.02)
    folder, asked = tmp_path / "ranges", [0]
    put(folder, "guard.ranges", "scanner 2026-11-01\n203.0.113.0/24\n")
    async with serve(house, collector={"ranges_dir": folder, **BEHIND}):
        await marks_when(house, ["listed:scanner:guard:2026-11-01"], until, asked)
        put(folder, "guard.ranges", "scanner 2026-11-20\n203.0.113.0/25\n198.51.100.0/24\n")
        await marks_when(house, ["listed:scanner:guard:2026-11-20"], until, asked)
        put(folder, "chat.ranges", "unfurl 2026-11-21\n203.0.0.0/16\n")
        both = ["listed:unfurl:chat:2026-11-21", "listed:scanner:guard:2026-11-20"]
        await marks_when(house, both, until, asked)
        put(folder, "guard.ranges", "scanner 2026-11-22\n203.0.113.0/33\n")
        put(folder, "chat.ranges", "unfurl 2026-11-23\n203.0.0.0/16\n")
        both = ["listed:unfurl:chat:2026-11-23", "listed:scanner:guard:2026-11-20"]
        await marks_when(house, both, until, asked)  # the broken one says what it last said
        (folder / "guard.ranges").unlink()
        await marks_when(house, ["listed:unfurl:chat:2026-11-23"], until, asked)
        folder.rename(tmp_path / "away")
        put(folder, "guard.ranges", "scanner 2026-11-24\n203.0.113.0/24\n")
        await marks_when(house, ["listed:scanner:guard:2026-11-24"], until, asked)
    told = [line for line in capfd.readouterr().out.splitlines() if "ranges.broken" in line]
    assert any("guard.ranges, line 2: " in line and "203.0.113.0/33" in line for line in told)


async def test_a_hit_from_a_list_is_supported_by_it_and_others_are_not(
    house: Any, serve: Any, tmp_path: Path
) -> None:
    put(tmp_path / "ranges", "guard.ranges", "scanner 2026-11-01\n203.0.113.0/24\n")
    async with serve(house, collector={"ranges_dir": tmp_path / "ranges", **BEHIND}):
        assert "published_range" in await judged_by(house, 1)
    async with serve(house, collector=BEHIND):
        assert "published_range" not in await judged_by(house, 2)
