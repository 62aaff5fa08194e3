import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indicia.failure import Failure
from indicia.main import _status, app
from ledger.keys import KeyFileError
from ledger.migrate import StoreError

Run = Callable[..., subprocess.CompletedProcess[bytes]]

HEAVY = ("sqlalchemy", "alembic", "aiohttp", "pydantic", "uvloop", "aiosmtplib", "structlog")


def test_help_imports_nothing_heavy() -> None:
    asked = f"import sys, indicia.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_command_has_its_help() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    for name in ("serve", "init", "check", "explain", "preview", "log", "show", "sandbox"):
        assert f"\n  {name}" in done.output


@pytest.mark.parametrize(
    "words", [(), ("nonsense",), ("log", "--format", "xml"), ("explain",), ("show",)]
)
def test_wrong_usage_is_status_2(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "Usage: " in done.output


def test_a_wrong_configuration_is_told_line_by_line(indicia: Run, tmp_path: Path) -> None:
    (tmp_path / "indicia.toml").write_text("[tracking]\nmax_copies = 'x'\nfoo = 1\n")
    for words in (("serve",), ("sandbox", "send")):
        done = indicia(*words)
        assert done.returncode == 2
        assert done.stdout == b""
        assert done.stderr.decode().splitlines() == [
            "indicia: indicia.toml: tracking.max_copies, line 2: is not a number; write 50",
            (
                "indicia: indicia.toml: tracking.foo, line 3: is unknown; remove it; "
                "docs/configuration.md has every key"
            ),
        ]


def test_the_configuration_is_the_one_named(indicia: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("x = 1")
    by_option = indicia("--config", "bad.toml", "check")
    by_variable = indicia("check", env={"INDICIA_CONFIG": "bad.toml"})
    assert by_option.stderr == by_variable.stderr
    assert by_option.stderr.startswith(b"indicia: bad.toml: x, line 1: is unknown")


def test_what_users_can_mend_has_a_status_and_a_bug_has_none() -> None:
    assert _status(Failure("x", 2)) == 2
    assert [_status(error) for error in (KeyFileError(), StoreError(), OSError())] == [1, 1, 1]
    assert _status(ValueError("x")) is None
