import subprocess
from collections.abc import Callable
from pathlib import Path

from config.reference import example_text

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def test_init_writes_a_configuration_and_a_key_for_their_owner_alone(
    indicia: Run, tmp_path: Path
) -> None:
    done = indicia("init", "here")
    assert done.returncode == 0, done.stderr
    file, key = tmp_path / "here" / "indicia.toml", tmp_path / "here/var/keys/token-0.key"
    assert file.read_text(encoding="utf-8") == example_text()
    assert [path.stat().st_mode & 0o777 for path in (file, key)] == [0o600, 0o600]
    assert (tmp_path / "here/var/keys").stat().st_mode & 0o777 == 0o700
    assert b"indicia --config here/indicia.toml check" in done.stdout


def test_init_never_writes_over_what_is_there(indicia: Run, tmp_path: Path) -> None:
    (tmp_path / "indicia.toml").write_text("[server]\nstate_dir = 'state'\n")
    first = indicia("init")
    assert first.returncode == 1
    assert first.stderr == b"indicia: indicia.toml exists already and is left as it is\n"
    assert (tmp_path / "indicia.toml").read_text() == "[server]\nstate_dir = 'state'\n"
    key = (tmp_path / "state/keys/token-0.key").read_bytes()
    assert indicia("init").returncode == 1
    assert (tmp_path / "state/keys/token-0.key").read_bytes() == key
