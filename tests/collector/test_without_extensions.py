"""The same with aiohttp's parser in Python, as where its extension could not be built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ALSO = ("test_head.py", "test_connection.py", "test_app.py")


def test_requests_are_taken_alike_by_the_parser_in_python() -> None:
    environment = os.environ | {"AIOHTTP_NO_EXTENSIONS": "1"}
    check = "from aiohttp.http import HttpRequestParser as one; print(one.__module__)"
    told = subprocess.run(
        [sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == "aiohttp.http_parser\n", "the parser is not the one in Python"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(HERE / one for one in ALSO),
        ],
        env=environment,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3_000:]
