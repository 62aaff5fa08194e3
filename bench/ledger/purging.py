"""How long mail and hits take while the daily purge deletes what is old.

    .venv/bin/python bench/ledger/fill.py FOLDER --age-days 500
    .venv/bin/python bench/ledger/purging.py FOLDER

Starts `indicia serve` on the folder, which purges at once, and submits mail and asks for a pixel
until it has done; prints medians and 99th percentiles, beside those of the same after it.
"""

import re
import smtplib
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

AFTER_S = 20
COMMAND = Path(sys.executable).with_name("indicia")
MAIL = (
    "From: ann@sender.example\r\nTo: bob@example.org\r\nSubject: x\r\n"
    "Content-Type: text/html\r\n\r\n<p>Hello</p>\r\n"
)


def main() -> None:
    """Measure and print."""
    folder = Path(sys.argv[1]).resolve()
    ports = {name: free_port() for name in ("relay", "collector", "console")}
    config = folder / "bench.toml"
    lines = "".join(f'[{name}]\nlisten = ["127.0.0.1:{port}"]\n' for name, port in ports.items())
    config.write_text(f'[server]\nstate_dir = "{folder}"\n{lines}')
    log = (folder / "serve.log").open("w+")
    serving = subprocess.Popen([COMMAND, "--config", config, "serve"], stdout=log, stderr=log)
    try:
        while "try " not in (folder / "serve.log").read_text():
            if serving.poll() is not None:
                sys.exit(f"indicia serve has ended: see {folder / 'serve.log'}")
            time.sleep(0.05)
        took: dict[str, list[float]] = {"mail": [], "hits": []}
        began = time.monotonic()
        pixel = first_pixel(folder, ports["relay"])
        stop = threading.Event()
        workers = [
            threading.Thread(target=submit, args=(ports["relay"], took["mail"], stop)),
            threading.Thread(target=ask, args=(pixel, took["hits"], stop)),
        ]
        for worker in workers:
            worker.start()
        wait_done(folder)
        print(f"purged in {time.monotonic() - began:.0f} s")
        during = {name: list(times) for name, times in took.items()}
        for times in took.values():
            times.clear()
        time.sleep(AFTER_S)
        stop.set()
        for worker in workers:
            worker.join()
        for name, times in during.items():
            print(f"{name}: during {told(times)}; after {told(took[name])}")
        print(re.findall(r"event=purge\.done.*", (folder / "serve.log").read_text()))
    finally:
        serving.terminate()
        serving.wait(40)


def submit(port: int, took: list[float], stop: threading.Event) -> None:
    """Submit mail on one connection, ten a second, and keep how long each 250 took."""
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
        while not stop.wait(0.1):
            began = time.monotonic()
            smtp.sendmail("ann@sender.example", ["bob@example.org"], MAIL)
            took.append(time.monotonic() - began)


def ask(pixel: str, took: list[float], stop: threading.Event) -> None:
    """Ask for a pixel, twenty times a second, and keep how long each answer took."""
    while not stop.wait(0.05):
        began = time.monotonic()
        with urllib.request.urlopen(pixel, timeout=60) as answer:
            answer.read()
        took.append(time.monotonic() - began)


def first_pixel(folder: Path, port: int) -> str:
    """Send a mail and return the pixel in its captured copy."""
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
        smtp.sendmail("ann@sender.example", ["bob@example.org"], MAIL)
    while True:
        with sqlite3.connect(folder / "spool.db") as spool:
            row = spool.execute("SELECT raw FROM captured_copies").fetchone()
        if row and (found := re.search(rb"http://127[^\"]+\.gif", row[0].replace(b"=\r\n", b""))):
            return found[0].decode()
        time.sleep(0.05)


def wait_done(folder: Path) -> None:
    """Return when the chore is done."""
    while True:
        with sqlite3.connect(folder / "ledger.db", timeout=60) as ledger:
            done = ledger.execute("SELECT done_at FROM chores").fetchone()
        ledger.close()
        if done and done[0]:
            return
        time.sleep(0.5)


def told(times: list[float]) -> str:
    """Return median and 99th percentile."""
    ordered = sorted(times)
    p99 = ordered[len(ordered) * 99 // 100]
    half = ordered[len(ordered) // 2]
    shown = f"median {half * 1000:.1f} ms, p99 {p99 * 1000:.0f} ms"
    return f"{len(ordered)}: {shown}, most {ordered[-1] * 1000:.0f} ms"


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
