"""A process that has imported everything and forks the relays that are killed.

A start from nothing costs 3 s of imports, a fork 5 ms.  What is forked then runs `indicia relay` as
the command does.  Reads one order (JSON) a line, answers each with one line.

    python -m tests.durability.parent
"""

import gc
import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from tests.durability.points import POINTS, arm
from tests.durability.tamper import TAMPERING

_IMPORTED = ("indicia.main", "indicia.serving", "alembic.command", "alembic.config", "sqlite3")


def main() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)  # noqa: T201 - this is its voice
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        answer = _start(order) if "config" in order else os.waitpid(order["wait"], 0)[1]
        print(answer, flush=True)  # noqa: T201 - this is its voice


def _start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _become_relay(order)
    return pid


def _become_relay(order: dict[str, Any]) -> None:
    files = (os.devnull, order["output"], order.get("log", order["output"]))
    for target, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), target)
    if mark := order.get("mark"):
        Path(mark).write_bytes(b"mark")  # seen in a trace: what comes from here is this process's
    if point := order.get("point"):
        arm(next(one for one in POINTS if one.name == point), order["nth"])
    if tampering := order.get("tamper"):
        TAMPERING[tampering](order)
    if descriptors := order.get("descriptors"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    sys.argv = ["indicia", "--config", order["config"], order.get("program", "relay")]
    from indicia.main import run  # noqa: PLC0415 - after what was changed in it

    run()  # and out by SystemExit, through all that a real process does at its end


if __name__ == "__main__":
    main()
