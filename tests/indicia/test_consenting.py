"""`indicia consent`, over real files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indicia.main import app

Done = tuple[int, str, str]
Call = Callable[..., Done]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a command in the folder of the test; give status, output and what is told beside."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, given: bytes | None = None) -> Done:
        done = CliRunner().invoke(app, words, input=given)
        error = done.exception
        if error is not None and not isinstance(error, SystemExit):
            return getattr(error, "status", -1), done.stdout, f"{done.stderr}{error}"
        return done.exit_code, done.stdout, done.stderr

    return invoke


def held(call: Call) -> list[tuple[object, object]]:
    lines = call("consent", "export", "--json")[1].splitlines()
    return [(row["subject"], row["state"]) for row in map(json.loads, lines)]


def test_a_consent_is_set_shown_and_never_loses_its_history(call: Call) -> None:
    words = ("--method", "spoken", "--source", "a call", "--text", "May we?")
    assert call("consent", "set", "Bob@example.org", "granted", *words) == (
        0,
        "Bob@example.org: granted\n",
        "",
    )
    assert call("consent", "set", "bob@example.org", "denied")[0] == 0
    told = json.loads(call("consent", "show", "bob@example.org", "--json")[1])
    assert told["state"] == "denied"
    assert [one["state"] for one in told["history"]] == ["denied", "granted"]
    first = told["history"][1]
    assert (first["method"], first["source"], first["text"], first["actor"]) == (
        "spoken",
        "a call",
        "May we?",
        "operator",
    )
    assert call("consent", "show", "bob+news@example.org")[1] == "bob+news@example.org: denied\n"
    actions = [json.loads(line) for line in call("audit", "list", "--json")[1].splitlines()]
    assert [one["action"] for one in actions] == ["consent.told"] * 2
    assert "bob" not in json.dumps(actions)


def test_a_domain_has_a_consent_of_its_own(call: Call) -> None:
    assert call("consent", "set", "example.org", "denied")[0] == 0
    assert call("consent", "show", "EXAMPLE.org")[1].startswith("example.org: denied")
    assert call("consent", "show", "bob@example.org")[0] == 0
    assert call("consent", "show", "example.net")[0] == 1


def test_what_is_exported_is_imported_again_as_it_was(call: Call, tmp_path: Path) -> None:
    assert call("consent", "set", "bob@example.org", "denied", "--source", "=SUM(A1)")[0] == 0
    assert call("consent", "set", "example.net", "granted")[0] == 0
    exported = call("consent", "export")[1]
    assert '"\'=SUM(A1)"' in exported
    (tmp_path / "all.csv").write_text(exported, encoding="utf-8")
    assert call("consent", "import", "all.csv") == (0, "2 consents recorded\n", "")
    assert call("consent", "export")[1] == exported
    assert "example.net" in call("consent", "export", "--format", "table")[1]


def test_a_list_from_elsewhere_names_its_file_as_the_source(call: Call) -> None:
    given = b"\xef\xbb\xbfstate,subject\r\ngranted,b@example.org\r\nDenied,example.net\r\n"
    assert call("consent", "import", "-", "--source", "the fair", given=given)[0] == 0
    assert held(call) == [("b@example.org", "granted"), ("example.net", "denied")]
    told = json.loads(call("consent", "show", "example.net", "--json")[1])["history"][0]
    assert (told["source"], told["method"]) == ("the fair", "import")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"", "the first line must name subject and state"),
        (b"address,state\na@b.example,granted\n", "the first line must name subject and state"),
        (b"subject,state\na@b.example\n", "line 2: it has not as many cells"),
        (b"subject,state\na@b.example,maybe\n", "line 2: 'maybe' is none of unknown, granted"),
        (b"subject,state\na@,granted\n", "line 2: 'a@' is not a mail address"),
        (b"subject,state,at\na@b.example,granted,soon\n", "line 2: 'soon' is no instant"),
        (b"subject,state\n\xff,granted\n", "is not UTF-8 (byte 14)"),
        (b"subject,state\n" + b"x,no\n" * 30, "… and 10 more"),
    ],
)
def test_of_a_list_with_a_fault_nothing_is_recorded(call: Call, given: bytes, why: str) -> None:
    status, _, error = call("consent", "import", "-", given=b"" + given)
    assert status == 1
    assert why in error
    assert held(call) == []


def test_a_file_that_is_not_there_and_what_is_no_subject_are_told(call: Call) -> None:
    assert "can not be read" in call("consent", "import", "none.csv")[2]
    assert call("consent", "set", "bob@", "denied")[0] == 2
    assert call("consent", "set", "bob@example.org", "maybe")[0] == 2
