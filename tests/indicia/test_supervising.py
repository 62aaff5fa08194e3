"""Several processes of one program, as an admin and a dying machine treat them."""

import os
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.keys import load_keys
from ledger.token import HitKind, Token, write_token
from tests.processes import AS_SYSTEMD, PATIENCE_S, alive, ask, children, until

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def test_a_worker_that_dies_is_started_again_and_no_connection_is_refused(serving: Any) -> None:
    running = serving("collector --workers 3", lines=2)
    assert [line.split()[0] for line in running.printed] == ["Indicia", "collector"]
    parent, port = running.process.pid, running.ports["collector"]
    until(lambda: len(children(parent)) == 3, "three workers")
    before = children(parent)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    for _ in range(50):
        assert ask(port) == 200
    until(lambda: len(children(parent) - {victim}) == 3, "another one")
    os.kill(parent, signal.SIGTERM)
    assert running.process.wait(PATIENCE_S) == 0
    log = running.process.stdout.read()
    assert "event=worker.died" in log
    assert f"pid={victim} " in log
    assert "status=-9" in log
    assert not any(alive(pid) for pid in before)


def test_no_worker_outlives_its_parent(serving: Any) -> None:
    running = serving("console --workers 2", lines=3)
    parent = running.process.pid
    until(lambda: len(children(parent)) == 2, "two workers")
    workers = children(parent)
    os.kill(parent, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in workers), "they end")


def test_relays_share_an_address(serving: Any) -> None:
    running = serving("relay --workers 2", lines=3)
    assert running.printed[1] == (
        f"  relay      smtp://127.0.0.1:{running.ports['relay']} (mail is captured)"
    )
    for number in range(6):
        with smtplib.SMTP("127.0.0.1", running.ports["relay"], timeout=10) as smtp:
            smtp.sendmail("a@example.com", f"b{number}@example.org", "Subject: x\n\nhello\n")
    os.kill(running.process.pid, signal.SIGINT)
    assert running.process.wait(PATIENCE_S) == 0


def test_hits_on_any_worker_are_judged_once(serving: Any, indicia: Run, tmp_path: Path) -> None:
    relay = serving("relay", lines=3)
    with smtplib.SMTP("127.0.0.1", relay.ports["relay"], timeout=10) as smtp:
        html = "Content-Type: text/html\n\n<p>hello</p>\n"
        people = [f"b{number}@example.org" for number in range(40)]
        for one in people:
            smtp.sendmail("a@example.com", one, f"Subject: x\nTo: {one}\n{html}")
    until(lambda: len(copies_in(tmp_path)) == len(people), "the ledger knows them")
    copies = copies_in(tmp_path)
    relay.process.terminate()
    relay.process.wait(PATIENCE_S)
    key = load_keys(tmp_path / "var" / "keys").current
    collector = serving("collector --workers 3", lines=2)
    for copy_id in copies:
        token = write_token(key, Token(HitKind.OPEN, key.key_id, copy_id, 0)).decode()
        assert ask(collector.ports["collector"], f"/o/{token}.gif") == 200

    def opened() -> list[bytes]:
        return indicia("log", "--type", "opened", "--json").stdout.splitlines()

    until(lambda: len(opened()) >= len(people), "all are events")
    assert len(opened()) == len(people)


def copies_in(folder: Path) -> list[int]:
    ledger = sqlite3.connect(folder / "var" / "ledger.db")
    try:
        return [copy_id for (copy_id,) in ledger.execute("SELECT copy_id FROM copies")]
    except sqlite3.OperationalError:
        return []
    finally:
        ledger.close()


def test_where_an_address_is_taken_no_worker_is_started(indicia: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = indicia("collector", "--workers", "2", env={"INDICIA_COLLECTOR__LISTEN": address})
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == (
        f"indicia: the collector can not listen on {address}: Address already in use; "
        "stop what runs there, or configure another address"
    )


def test_a_worker_that_never_gets_to_work_ends_them_all(indicia: Run, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "ledger.db").write_bytes(b"no database" * 1_000)
    done = indicia("collector", "--workers", "2", env={"INDICIA_COLLECTOR__LISTEN": "127.0.0.1:0"})
    assert done.returncode == 1
    told = done.stderr.decode()
    assert "ledger.db" in told
    assert told.splitlines()[-1] == (
        "indicia: worker 0 has ended before it worked; the lines above say why"
    )


def test_the_sockets_of_a_service_manager_are_listened_on(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("indicia")
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        started = subprocess.Popen(
            [
                *(sys.executable, "-c", AS_SYSTEMD, str(opened.fileno())),
                *(str(command), "collector"),
            ],
            cwd=tmp_path,
            pass_fds=[opened.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        printed = [started.stdout.readline().rstrip("\n") for _ in range(2)]
    assert printed[1] == f"  collector  http://127.0.0.1:{port}"
    assert ask(port) == 200
    started.terminate()
    started.communicate(timeout=PATIENCE_S)
    assert started.returncode == 0
