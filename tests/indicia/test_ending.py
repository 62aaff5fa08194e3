"""How several processes of one program end, and whose signals they heed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import AS_SYSTEMD, PATIENCE_S, alive, ask, children, until

pytestmark = pytest.mark.slow

SLOW_TO_START = """
import os, time
from indicia.supervising import run_workers

def work(me):
    if me.number == 0:
        me.say_ready()
    os.write(1, b"%d\\n" % me.number)  # in one piece: two print at once
    time.sleep(120)

run_workers(2, work, lambda: print("released", flush=True))
"""


def scripted(script: str, **more: Any) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", script]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_law_a_worker_that_has_just_been_started_ends_with_the_others(number: int) -> None:
    """Law: whenever the parent is asked to end, each worker is, even one that has just been
    started.
    """
    with scripted(SLOW_TO_START) as parent:
        assert parent.stdout is not None
        assert sorted(parent.stdout.readline() for _ in range(2)) == ["0\n", "1\n"]
        workers = children(parent.pid)
        os.kill(parent.pid, number)
        assert parent.wait(10) == 0
        assert parent.stdout.read() == "released\n"
    assert not any(alive(pid) for pid in workers)


def test_who_is_started_by_nohup_outlives_his_terminal() -> None:
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with scripted(ignore + SLOW_TO_START) as parent:
        assert parent.stdout is not None
        for _ in range(2):
            parent.stdout.readline()
        for pid in (parent.pid, *children(parent.pid)):
            os.kill(pid, signal.SIGHUP)
        assert all(alive(pid) for pid in (parent.pid, *children(parent.pid)))
        parent.terminate()
        assert parent.wait(10) == 0


def test_a_terminal_that_closes_ends_a_program_as_it_should(serving: Any) -> None:
    running = serving("collector", lines=2)
    os.kill(running.process.pid, signal.SIGHUP)
    assert running.process.wait(PATIENCE_S) == 0
    assert "event=stop.asked" in running.process.stdout.read()


def test_while_workers_end_new_connections_are_refused_and_do_not_wait(serving: Any) -> None:
    running = serving("collector --workers 2", lines=2)
    parent, port = running.process.pid, running.ports["collector"]
    until(lambda: len(children(parent)) == 2, "two workers")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\nlink=")
        time.sleep(0.5)  # until it has been read: nothing tells from outside
        os.kill(parent, signal.SIGTERM)
        until(lambda: refused(port), "nobody listens")
        assert alive(parent), "one worker still waits for the form"
    assert running.process.wait(PATIENCE_S) == 0


def refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            return False
    except ConnectionRefusedError:
        return True


def test_workers_share_the_sockets_of_a_service_manager(tmp_path: Path) -> None:
    command = str(Path(sys.executable).with_name("indicia"))
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        words = [sys.executable, "-c", AS_SYSTEMD, str(opened.fileno()), command]
        started = subprocess.Popen(
            [*words, "collector", "--workers", "2"],
            cwd=tmp_path,
            pass_fds=[opened.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until(lambda: len(children(started.pid)) == 2, "two workers")
        assert ask(port) == 200
        victim = min(children(started.pid))
        os.kill(victim, signal.SIGKILL)
        assert all(ask(port) == 200 for _ in range(20))
        until(lambda: len(children(started.pid) - {victim}) == 2, "another one")
        started.terminate()
        started.communicate(timeout=PATIENCE_S)
        assert started.returncode == 0
        # The manager's own socket goes on: what comes now waits for the next start.
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
