from pathlib import Path

import pytest

from indicia.calling import command_line


def test_the_line_to_try_is_how_the_command_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for called, told in (
        ([str(tmp_path / ".venv/bin/indicia"), "serve"], ".venv/bin/indicia"),
        (
            ["/usr/bin/indicia", "--config", "a b.toml", "serve"],
            "/usr/bin/indicia --config 'a b.toml'",
        ),
        (["/usr/bin/indicia", "--config=x.toml"], "/usr/bin/indicia --config=x.toml"),
        (["/usr/bin/indicia"], "/usr/bin/indicia"),
        (["/usr/lib/python3/pytest"], "indicia"),
    ):
        monkeypatch.setattr("sys.argv", called)
        assert command_line() == told
