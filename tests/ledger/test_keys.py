"""Signing keys: made once, read by us alone, never lost."""

import os
import threading
from pathlib import Path

import pytest

from ledger.keys import KeyFileError, KeyRing, add_key, load_audit_key, load_keys


def test_the_first_start_makes_a_key_that_only_we_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "keys"
    ring = load_keys(folder)
    assert ring.current.key_id == 0
    assert dict(ring.keys) == {0: ring.current}
    assert [path.name for path in folder.iterdir()] == ["token-0.key"]
    assert (folder / "token-0.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_every_later_start_reads_the_same_key(tmp_path: Path) -> None:
    assert load_keys(tmp_path) == load_keys(tmp_path)


def test_two_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    rings: list[KeyRing] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        rings.append(load_keys(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ring.current.secret for ring in rings}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["token-0.key"]


def test_a_new_key_signs_and_the_old_ones_are_still_read(tmp_path: Path) -> None:
    first = load_keys(tmp_path).current
    second = add_key(tmp_path)
    ring = load_keys(tmp_path)
    assert ring.current == second
    assert second.key_id == 1
    assert ring.keys[0] == first
    assert first.secret != second.secret


def test_a_key_that_was_made_meanwhile_is_taken(tmp_path: Path) -> None:
    ring = load_keys(tmp_path)
    (tmp_path / "token-1.key").write_text("ab" * 32)
    (tmp_path / "token-1.key").chmod(0o600)
    assert add_key(tmp_path).key_id == 2
    assert load_keys(tmp_path).keys[0] == ring.current


def test_what_a_crash_left_behind_does_not_hinder_the_next_start(tmp_path: Path) -> None:
    (tmp_path / f".token-0.{os.getpid()}").write_text("half")
    assert load_keys(tmp_path).current.key_id == 0


@pytest.mark.parametrize(
    "name", ["token-00.key", "token-1.key.bak", "token-٣.key", "other.key", "README"]
)
def test_other_files_in_the_folder_are_no_keys(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("00" * 32)
    assert set(load_keys(tmp_path).keys) == {0}


@pytest.mark.parametrize(
    ("number", "content", "mode", "why"),
    [
        (0, "00" * 32, 0o640, "chmod 600"),
        (0, "00" * 32, 0o604, "chmod 600"),
        (0, "00" * 31, 0o600, "not a key"),
        (0, "00" * 65, 0o600, "not a key"),
        (0, "no hex", 0o600, "not a key"),
        (0, "ü", 0o600, "not a key"),
        (0, "", 0o600, "not a key"),
        (999, "00" * 32, 0o600, "not a key"),
    ],
)
def test_a_bad_key_file_stops_the_start_and_says_the_mend(
    tmp_path: Path, number: int, content: str, mode: int, why: str
) -> None:
    path = tmp_path / f"token-{number}.key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=why) as caught:
        load_keys(tmp_path)
    assert str(path) in str(caught.value)
    assert not content or content not in str(caught.value)


def test_a_folder_in_the_place_of_a_key_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "token-0.key").mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match="not a key"):
        load_keys(tmp_path)


def test_when_all_numbers_are_used_no_key_is_added(tmp_path: Path) -> None:
    (tmp_path / "token-255.key").write_text("00" * 32)
    (tmp_path / "token-255.key").chmod(0o600)
    with pytest.raises(KeyFileError, match="256"):
        add_key(tmp_path)


def test_the_audit_key_is_made_once_for_us_alone_and_is_no_signing_key(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "keys"
    keys = {load_audit_key(folder) for _ in range(3)}
    assert [len(key) for key in keys] == [32]
    assert (folder / "audit.key").stat().st_mode & 0o777 == 0o600
    assert keys.isdisjoint({load_keys(folder).current.secret})
    assert set(load_keys(folder).keys) == {0}


def test_an_audit_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_audit_key(tmp_path)
    (tmp_path / "audit.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_audit_key(tmp_path)
