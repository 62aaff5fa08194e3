import json
import re
import signal
import smtplib
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def log_of(indicia: Run, count: int, *words: str) -> list[dict[str, Any]]:
    """Ask for the log until it has `count` lines: facts reach the ledger a moment later."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = indicia("log", "--json", *words).stdout.splitlines()
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
    pytest.fail(f"the log has only {lines}")


def test_a_sample_goes_through_a_served_sandbox(serving: Any, indicia: Run) -> None:
    running = serving()
    ports = running.ports
    head, collector, console, relay, sign_in, tried = running.printed
    assert head.startswith("Indicia ")
    assert collector == f"  collector  http://127.0.0.1:{ports['collector']}"
    assert console == f"  console    http://127.0.0.1:{ports['console']}"
    assert relay == f"  relay      smtp://127.0.0.1:{ports['relay']} (mail is captured)"
    link = re.search(r"http://127\.0\.0\.1:\d+/login\?code=\S+", sign_in)
    assert link
    assert re.search(r"indicia sandbox send$", tried)

    sent = indicia("sandbox", "send", "--json")
    assert (sent.returncode, sent.stderr) == (0, b"")
    sample = json.loads(sent.stdout)
    events = log_of(indicia, 3, "--type", "accepted", "--message-id", sample["message_id"])
    assert [(event["recipient"], event["recipient_type"]) for event in events] == list(
        zip(sample["recipients"], ("to", "cc", "bcc"), strict=True)
    )
    story = json.loads(indicia("show", sample["message_id"], "--json").stdout)
    assert len({one["copy"] for one in story["recipients"]}) == 3
    links = [link["tracked"] for link in story["recipients"][0]["links"]]
    assert links.count(True) == 3
    assert b"1. Open a copy" in indicia("sandbox", "send").stdout

    checked = [json.loads(line) for line in indicia("check", "--json").stdout.splitlines()]
    (host,) = [one for one in checked if one["of"] == "tracking host"]
    assert host["state"] == "ok", host
    assert "leads on unaltered" in host["text"]
    assert log_of(indicia, 0, "--type", "clicked") == []

    assert urllib.request.urlopen(link[0], timeout=10).status == 200
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0


def test_one_program_runs_alone_and_ends_on_sigint(serving: Any, tmp_path: Path) -> None:
    running = serving("relay", lines=3)
    assert [line.split()[0] for line in running.printed] == ["Indicia", "relay", "try"]
    with smtplib.SMTP("127.0.0.1", running.ports["relay"], timeout=10) as smtp:
        assert smtp.ehlo()[0] == 250
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", running.ports["collector"]), 5)
    assert (tmp_path / "var" / "keys" / "token-0.key").exists()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 0


def test_where_an_address_is_taken_it_says_so_and_ends(indicia: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = indicia("collector", env={"INDICIA_COLLECTOR__LISTEN": address})
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == (
        f"indicia: the collector can not listen on {address}: Address already in use; "
        "stop what runs there, or configure another address"
    )
