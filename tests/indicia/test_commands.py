"""The faces, in this process: what each option means to what does the work."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from indicia.main import app

Call = Callable[..., tuple[int, str]]

MAIL = 'Subject: x\nContent-Type: text/html\n\n<html><body><a href="https://x.example/">x</a>\n'
PEOPLE = ("--from", "ann@sender.example", "--to", "tom@example.org")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a command in the folder of the test; give its status and output."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, words)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout

    return invoke


def test_init_then_check(
    call: Call, tmp_path: Path, ports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What answers at the usual port may be somebody else's, and check says so.
    monkeypatch.setenv("INDICIA_TRACKING__BASE_URL", f"http://127.0.0.1:{ports()}")
    status, told = call("init", "here")
    assert (status, "here/indicia.toml: written" in told) == (0, True)
    status, told = call("--config", "here/indicia.toml", "check")
    assert (status, "here/indicia.toml is in order" in told) == (0, True)
    (tmp_path / "here/var/keys/token-0.key").chmod(0o644)
    status, told = call("--config", "here/indicia.toml", "check", "--json")
    assert status == 1
    assert [json.loads(line)["of"] for line in told.splitlines() if "failed" in line] == ["keys"]


def test_explain_and_preview(call: Call, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_text(MAIL)
    status, told = call("explain", "m.eml", *PEOPLE, "--bcc", "bea@example.org", "--json")
    assert (status, [json.loads(line)["copy"] for line in told.splitlines()]) == (0, [1, 2])
    status, told = call("preview", "m.eml", *PEOPLE, "--diff")
    assert (status, told.startswith("--- submitted\n+++ copy\n")) == (0, True)
    assert call("explain", "m.eml", "--from", "") == (2, "")


def test_log_and_show(call: Call, recorded: Settings) -> None:
    assert recorded.server.state_dir.exists()
    who = ("--recipient", "tom@example.org", "--sender", "ann@sender.example")
    what = ("--message-id", "offer@sender.example", "--type", "opened", "--format", "csv")
    status, told = call("log", "events", *who, *what)
    assert (status, len(told.splitlines())) == (0, 2)
    status, told = call("show", "offer@sender.example", "--json")
    assert (status, len(told.splitlines())) == (0, 1)
