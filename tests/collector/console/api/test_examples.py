"""The examples of docs/api.md, as they stand there, against a running console."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from collector.console.api.routes import ROUTES

PAGE = Path(__file__).resolve().parents[4] / "docs" / "api.md"
TIMED_OUT = 28
"""curl's status when --max-time is over, which is how a stream ends."""


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


async def run(script: str, folder: Path) -> tuple[int | None, bytes]:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        script,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, told


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_every_example_really_runs(program: Any, tmp_path: Path) -> None:
    begin, *others = blocks()
    # What the command prints is its own test's; here it prints this token.
    command = f"indicia() {{ echo {program.token}; }}"
    assert await run(f"{command}\n{begin}\ncp api.curl admin.curl", tmp_path) == (0, b"")
    assert (tmp_path / "api.curl").stat().st_mode & 0o077 == 0
    lines = [line for block in others for line in block.replace("\\\n", "").splitlines()]
    assert len(lines) == 9
    for line in lines:
        asked = line.replace("--max-time 2", "--max-time 0.2")
        status, told = await run(f"API={program.base}/api/v1\n{asked}", tmp_path)
        streams = "/stream" in line
        assert status == (TIMED_OUT if streams else 0), (line, told)
        assert (b"event: hello" in told) if streams else told.startswith(b"{"), (line, told)


def test_every_route_of_the_page_is_a_route_and_none_is_missing() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = {
        (method, path.partition("?")[0].replace("address or domain", "subject"))
        for line in re.findall(r"^\| `.*$", page, re.MULTILINE)
        for method, path in re.findall(r"`(GET|PUT|POST) ([^`]+)`", line.split("|")[1])
    }
    assert told == {(route.method, route.path) for route in ROUTES}
