"""Who is alive, with real files and a real process that is killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from relay.lessee import bury_dead, hold_name

_HOLDER = """
import sys, time
from pathlib import Path
from relay.lessee import hold_name
with hold_name(Path(sys.argv[1]), "other"):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.iterdir())


def test_the_living_are_not_buried(tmp_path: Path) -> None:
    """Law: the file of a living process is never taken for that of a dead one."""
    with hold_name(tmp_path, "one"), hold_name(tmp_path, "two"):
        with bury_dead(tmp_path) as dead:
            assert dead == ()
        assert names(tmp_path) == ["one", "two"]
    assert names(tmp_path) == []


def test_who_was_killed_is_buried_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with bury_dead(tmp_path) as dead:
            assert dead == ()
        holder.kill()
        holder.wait()
    with hold_name(tmp_path, "me"):
        with bury_dead(tmp_path) as dead:
            assert dead == ("other",)
            with bury_dead(tmp_path) as found_by_another:
                assert found_by_another == ()
        assert names(tmp_path) == ["me"]


def test_who_could_not_be_buried_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "dead.lock").touch()
    with pytest.raises(ZeroDivisionError), bury_dead(tmp_path) as dead:
        raise ZeroDivisionError(dead)
    with bury_dead(tmp_path) as dead:
        assert dead == ("dead",)


def test_a_file_that_was_taken_away_while_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, flock = tmp_path / "me.lock", __import__("fcntl").flock
    taken = []

    def take_away_first(descriptor: int, how: int) -> None:
        if not taken:
            taken.append(file.unlink())
        flock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", take_away_first)
    with hold_name(tmp_path, "me"), bury_dead(tmp_path) as dead:
        assert (dead, file.exists()) == ((), True)


def test_a_file_that_goes_while_it_is_looked_at_is_nobody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda folder, _: [folder / "gone.lock"])
    with bury_dead(tmp_path) as dead:
        assert dead == ()


def test_a_folder_that_is_not_there_has_no_dead(tmp_path: Path) -> None:
    with bury_dead(tmp_path / "none") as dead:
        assert dead == ()
