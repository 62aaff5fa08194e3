"""The real command as a process, over real files."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("indicia")

Done = subprocess.CompletedProcess[bytes]


@pytest.fixture
def indicia(tmp_path: Path) -> Callable[..., Done]:
    """Run `indicia …` in an empty folder to its end."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("INDICIA_")
    }

    def run(*words: str | Path, given: bytes = b"", env: dict[str, str] | None = None) -> Done:
        return subprocess.run(
            [COMMAND, *words],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            input=given,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run
