"""`indicia audit`, over real files."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indicia.failure import Failure
from indicia.main import app

Call = Callable[..., str]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        if isinstance(done.exception, Failure):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return invoke


@pytest.fixture
def told(call: Call) -> Call:
    """Three changes have been made."""
    call("user", "add", "Anna@example.com", "--role", "admin")
    call("user", "disable", "anna@example.com")
    call("token", "create", "crm", "--scope", "read")
    return call


def alter(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "var/ledger.db") as connection:
        connection.execute(statement)
    connection.close()


def test_changes_are_listed_with_who_made_them_and_about_whom(told: Call) -> None:
    rows = [json.loads(line) for line in told("audit", "list", "--json").splitlines()]
    assert [(row["number"], row["actor"], row["action"], row["subject"]) for row in rows] == [
        (1, "operator", "person.added", "Anna@example.com"),
        (2, "operator", "person.disabled", "Anna@example.com"),
        (3, "operator", "token.created", "crm"),
    ]
    assert rows[2]["detail"] == {"scope": "read"}
    assert "scope=read" in told("audit", "list")
    about = told("audit", "list", "--about", "ANNA@example.com", "--json")
    assert len(about.splitlines()) == 2
    assert told("audit", "list", "--about", "bob@example.com") == ""
    with pytest.raises(Failure, match="no @"):
        told("audit", "list", "--about", "anna")


def test_the_file_holds_the_address_in_no_entry(told: Call, tmp_path: Path) -> None:
    assert told
    with sqlite3.connect(tmp_path / "var/ledger.db") as connection:
        rows = connection.execute("SELECT * FROM audit").fetchall()
    connection.close()
    assert "example.com" not in str(rows).lower()


def test_a_whole_chain_holds_and_gives_the_head_to_keep(told: Call) -> None:
    first, second = told("audit", "verify").splitlines()
    assert first == "3 rows hold"
    head = second.partition(": ")[2]
    assert json.loads(told("audit", "verify", "--head", head, "--json")) == {
        "good": True,
        "rows": 3,
        "head": head,
    }


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 1", 1),
        ("DELETE FROM audit WHERE number = 3", 3),
    ],
)
def test_the_first_broken_row_is_named(
    told: Call, tmp_path: Path, statement: str, row: int
) -> None:
    head = json.loads(told("audit", "verify", "--json"))["head"]
    alter(tmp_path, statement)
    with pytest.raises(Failure, match=f"audit row {row}:"):
        told("audit", "verify", "--head", head)
    with pytest.raises(Failure) as failure:
        told("audit", "verify", "--head", head, "--json")
    assert failure.value.status == 1


def test_a_head_that_is_none_is_an_error_of_usage(told: Call) -> None:
    with pytest.raises(Failure, match="NUMBER:HASH") as failure:
        told("audit", "verify", "--head", "3")
    assert failure.value.status == 2


def test_without_a_record_there_is_nothing_to_verify(call: Call) -> None:
    with pytest.raises(Failure, match="no record yet"):
        call("audit", "verify")
