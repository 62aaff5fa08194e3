"""The memory of the relay's process: big mails, many of them at once, a long queue.

`python bench/relay/memory.py [--case recipients,copies,clients,queue] [--queued 20000]`
recipients: 25 MB to 1,000 people who share their copies (`max_copies` as by default).
copies:     25 MB to 1,000 people, a copy of his own for each, for as long as `--seconds`.
clients:    ten clients send 25 MB each at the same time.
queue:      100 and then `--queued` mails of 5 KB wait for an upstream that is not there.
Told is the largest resident size of the process since its start (VmHWM), and at rest before.
"""

import argparse
import contextlib
import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving import free_port, write_configuration

COMMAND = Path(sys.executable).with_name("indicia")
BIG_BYTES = 25_000_000
PEOPLE = [f"r{number}@example.test" for number in range(1000)]
QUIET_S = 3.0


class Relay:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def megabytes(self, field: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = [line for line in status if line.startswith(f"{field}:")]
        return int(line.split()[1]) // 1024

    def cpu_ticks(self) -> int:
        values = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(values[11]) + int(values[12])

    def wait_until_quiet(self, at_most_s: float = 300) -> None:
        end, used = time.monotonic() + at_most_s, -1
        while time.monotonic() < end and self.cpu_ticks() - used > QUIET_S * 5:
            used = self.cpu_ticks()
            time.sleep(QUIET_S)

    def send(self, content: bytes, recipients: list[str]) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=120) as client:
            client.sendmail("a@bench.test", recipients, content)


@contextlib.contextmanager
def relaying(upstream: int, extra: str = "") -> Iterator[Relay]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = write_configuration(Path(folder), port, upstream)
        config.write_text(config.read_text().replace("max_copies = 1000", extra))
        with (Path(folder) / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [COMMAND, "--config", config, "relay"], stdout=output, stderr=output
            )
        relay = Relay(process, port)
        try:
            wait_for(port)
            yield relay
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def sinking() -> Iterator[int]:
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen(["smtp-sink", *user, f"127.0.0.1:{port}", "100"])
    try:
        wait_for(port)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), smtplib.SMTP("127.0.0.1", port, timeout=5):
            return
        time.sleep(0.1)
    msg = f"nothing answers on port {port}"
    raise TimeoutError(msg)


def big_mail() -> bytes:
    link = b'<p>Read <a href="https://shop.example/a?b=1">the offer</a></p>\r\n'
    line = b"<p>" + b"x" * 70 + b"</p>\r\n"
    head = b"Subject: big\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n"
    return head + link * 60 + line * ((BIG_BYTES - len(head)) // len(line)) + b"</body></html>\r\n"


def tell(case: str, relay: Relay, before: int) -> None:
    print(f"{case:12} {relay.megabytes('VmHWM')} MB at most, {before} MB before", flush=True)


def recipients() -> None:
    with sinking() as sink, relaying(sink) as relay:
        before = relay.megabytes("VmRSS")
        relay.send(big_mail(), PEOPLE)
        relay.wait_until_quiet()
        tell("recipients", relay, before)


def copies(seconds: float) -> None:
    with sinking() as sink, relaying(sink, "max_copies = 1000") as relay:
        before = relay.megabytes("VmRSS")
        relay.send(big_mail(), PEOPLE)
        time.sleep(seconds)
        tell("copies", relay, before)


def clients() -> None:
    with sinking() as sink, relaying(sink) as relay, ThreadPoolExecutor(10) as pool:
        before, content = relay.megabytes("VmRSS"), big_mail()
        for sent in [pool.submit(relay.send, content, PEOPLE[:1]) for _ in range(10)]:
            sent.result()
        relay.wait_until_quiet()
        tell("clients", relay, before)


def queue(queued: int) -> None:
    source = ["smtp-source", "-d", "-s", "10", "-l", "5000", "-f", "a@bench.test"]
    with relaying(free_port()) as relay:
        for number in (100, queued):
            before = relay.megabytes("VmRSS")
            command = [
                *source,
                "-t",
                "b@example.test",
                "-m",
                str(number),
                f"127.0.0.1:{relay.port}",
            ]
            subprocess.run(command, check=True)
            relay.wait_until_quiet()
            tell(f"queue {number}", relay, before)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--case", default="recipients,copies,clients,queue")
    asked.add_argument("--queued", type=int, default=20_000)
    asked.add_argument("--seconds", type=float, default=30)
    given = asked.parse_args()
    if not (shutil.which("smtp-sink") and shutil.which("smtp-source")):
        print("skipped: Postfix is not installed (tests/install-daemons)")
        return
    cases = {
        "recipients": recipients,
        "copies": lambda: copies(given.seconds),
        "clients": clients,
        "queue": lambda: queue(given.queued),
    }
    for case in given.case.split(","):
        cases[case]()


if __name__ == "__main__":
    main()
