"""`indicia db`, over real files: current, missing, older, newer, broken."""

import json
import sqlite3
from pathlib import Path

import pytest

from config.settings import Settings
from indicia.failure import NOT_HELD, Failure
from indicia.upgrading import State, read_versions, tell_versions, upgrade_stores
from ledger import migrate
from ledger.migrate import StoreError


def files(settings: Settings) -> tuple[Path, Path]:
    folder = settings.server.state_dir
    return folder / "spool.db", folder / "ledger.db"


def states(settings: Settings) -> list[tuple[str, str | None, State]]:
    return [(one.name, one.version, one.state) for one in read_versions(settings)]


def set_version(file: Path, version: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()


def test_looking_makes_nothing(sandbox: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    tell_versions(sandbox, as_json=False)
    assert "missing" in capsys.readouterr().out
    assert [file.exists() for file in files(sandbox)] == [False, False]


def test_an_upgrade_makes_both_current(
    sandbox: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrade_stores(sandbox, as_json=True)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["store"], one["state"]) for one in told] == [
        ("spool", "current"),
        ("ledger", "current"),
    ]
    assert {one["version"] for one in told} == {one["known"] for one in told}
    tell_versions(sandbox, as_json=False)


def test_an_older_one_waits_for_the_next_start(
    sandbox: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade_stores(sandbox, as_json=False)
    first = read_versions(sandbox)[0].known
    monkeypatch.setattr(migrate, "_versions", lambda _: (first, "9000"))
    assert [state for _, _, state in states(sandbox)] == [State.OLDER, State.OLDER]


def test_a_newer_one_is_refused_and_left_as_it_is(sandbox: Settings) -> None:
    upgrade_stores(sandbox, as_json=False)
    spool, _ = files(sandbox)
    set_version(spool, "9999")
    with pytest.raises(Failure, match="spool: written by a newer program") as failure:
        tell_versions(sandbox, as_json=False)
    assert failure.value.status == NOT_HELD
    with pytest.raises(StoreError, match=r"version 9999.*run the newer program"):
        upgrade_stores(sandbox, as_json=False)
    assert states(sandbox)[0][1:] == ("9999", State.NEWER)


def test_what_is_no_store_is_told_and_not_touched(sandbox: Settings) -> None:
    spool, _ = files(sandbox)
    spool.parent.mkdir(parents=True)
    spool.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    before = spool.read_bytes()
    with pytest.raises(StoreError, match="can not be read"):
        tell_versions(sandbox, as_json=False)
    with pytest.raises(StoreError, match="file is not a database"):
        upgrade_stores(sandbox, as_json=False)
    assert spool.read_bytes() == before
