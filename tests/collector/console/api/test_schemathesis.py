"""The running API, held to openapi.json by schemathesis, with all its checks.

EXAMPLES says how many requests it draws for each route, SEED which.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from collector.console.api.routes import ROUTES

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("EXAMPLES", "20"))
PATIENCE_S = 60 + EXAMPLES * 10


@pytest.fixture
async def console(start_console: Any) -> Any:
    """A console behind a proxy, which tells of each request that another client asks."""
    return await start_console(proxies=["127.0.0.1/32"])


async def test_every_answer_is_as_openapi_json_says(
    program: Any, put_in_queue: Any, tmp_path: Path
) -> None:
    for copy_id in range(1, 30):
        await put_in_queue(program.console.stores.spool, copy_id)
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{program.base}/api/v1/openapi.json",
        f"--header=Authorization: Bearer {program.token}",
        f"--max-examples={EXAMPLES}",
        "--exclude-path=/events/stream",  # it has no end; test_stream.py
        "--continue-on-failure",
        "--checks=all",
        f"--seed={os.environ.get('SEED', '1')}",
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(HERE / "formats.py"),
            "NO_COLOR": "1",
            "COLUMNS": "150",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    sys.stdout.write(told.decode())
    assert process.returncode == 0, told.decode()
    assert f"Tested: {len(ROUTES) - 1}" in told.decode()
