"""The short form of `make fuzz`: the first two thousand inputs of seed 1."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_mutated_mail_breaks_no_law() -> None:
    words = ["60", "--seed", "1", "--inputs", "2000", "--sample", "200"]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("run.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["counts"]
    assert counts["inputs"] == 2000
    assert counts["instrumented"] > 400  # it does not pass by leaving mail alone
