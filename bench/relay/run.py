"""The relay beside Postfix: delivered mails a second and CPU a mail, in turns.

`python bench/relay/run.py [--case 5k,60k,fan] [--rounds 3] [--peers postfix,indicia,indicia-2]`
5k and 60k: ten clients send HTML of that size with five and sixty links, each to one recipient.
fan: four clients send 60 KB with sixty links to a hundred recipients, of whom each gets a copy
with his own pixel and links; Postfix sends a hundred plain copies.  Figures are then a copy's.

Load, sink, Postfix and the counting of CPU are those of ../shared/bench.  Indicia runs as
`indicia relay`, tracking on, both stores durable; indicia-2 is two processes of it.  CPU is that
of the whole process tree until it is quiet, what the ledger costs included.  Every round runs each
peer once; ratios are taken within a round; figures are minimum/median/maximum over the rounds.
"""

import argparse
import importlib.util
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from serving import free_port, write_configuration

SHARED = Path(__file__).resolve().parents[3] / "shared" / "bench"
COMMAND = Path(sys.executable).with_name("indicia")
WARM_UP = 100
QUIET_S = 0.5
"""No CPU worth the name for so long: what was put off is done."""
LONGEST_S = 120
WORDS = ("season", "offer", "member", "price", "quality", "guide", "reader", "weekly", "garden")


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent."""

    size: int
    links: int
    mails: int
    clients: int = 10
    recipients: int = 1


CASES = {
    "5k": Case(5_000, 5, 3000),
    "60k": Case(60_000, 60, 1000),
    "fan": Case(60_000, 60, 24, clients=4, recipients=100),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one run, a copy."""

    delivered: float
    accepted: float
    cpu_ms: float
    pss_mb: float


def html(size: int, links: int) -> str:
    """Return HTML of about this size with its links spread over it, in short lines."""
    drawn = random.Random(7)
    lines, room = ["<html><head><title>Weekly</title></head><body>"], size // links
    for number in range(links):
        url = f"https://shop.example/p/{drawn.randrange(10**6)}?utm_source=mail&amp;item={number}"
        lines.append(f'<p><a class="btn" href="{url}">Read more</a>')
        left = room - len(lines[-1])
        while left > 0:
            lines.append(f'<span style="color:#15c">{" ".join(drawn.choices(WORDS, k=8))}</span>')
            left -= len(lines[-1]) + 2
        lines.append("</p>")
    return "\n".join([*lines, "</body></html>"])


def message(case: Case) -> str:
    header = (
        "From: Shop <a@bench.test>\nTo: list@example.test\nSubject: Weekly offers\n"
        "Message-ID: <1@bench.test>\nDate: Thu, 01 Jan 2026 10:00:00 +0000\nMIME-Version: 1.0\n"
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n"
    )
    return header + html(case.size, case.links) + "\n"


def indicia(peers: ModuleType, name: str, extra: Sequence[str]) -> tuple[list[object], Path]:
    folder = peers.fresh(name)
    config = write_configuration(folder, peers.PORT, peers.UP)
    return [COMMAND, "--config", config, "relay", *extra], folder


def quiet_cpu(peer: Any) -> float:  # noqa: ANN401 - the shared bench has no types
    """Return the CPU seconds of a peer once it has nothing left to do."""
    used, end = sum(peer.cpu()), time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        time.sleep(QUIET_S)
        before, used = used, sum(peer.cpu())
        if used - before < QUIET_S / 50:
            break
    return used


def delivered_at(sink: Any, number: int) -> float:  # noqa: ANN401 - the shared bench has no types
    """Return when the sink had so many messages."""
    end = time.perf_counter() + LONGEST_S
    while sink.n < number:
        if time.perf_counter() > end:
            msg = f"the sink has {sink.n} of {number}"
            raise TimeoutError(msg)
        time.sleep(0.01)
    return time.perf_counter()


def run_once(shared: ModuleType, start: Callable[[], Any], case: Case) -> Figures:
    command, folder = start()
    mail = folder / "mail"
    mail.write_text(message(case))
    sink = shared.Sink()
    peer = shared.Peer(command, cwd=folder, log=str(folder / "bench.log"))
    port = f"127.0.0.1:{shared.peers.PORT}"
    source = ["smtp-source", "-d", "-s", str(case.clients), "-f", "a@bench.test"]
    source += ["-t", "b@example.test", "-F", str(mail), "-r", str(case.recipients)]
    try:
        shared.wait_port(shared.peers.PORT, banner=True, timeout=25)
        warm = max(WARM_UP // case.recipients, case.clients)
        subprocess.run([*source, "-m", str(warm), port], check=True, timeout=60)
        delivered_at(sink, warm * case.recipients)
        before = quiet_cpu(peer)
        copies, began, seen = case.mails * case.recipients, time.perf_counter(), sink.n
        subprocess.run([*source, "-m", str(case.mails), port], check=True, timeout=LONGEST_S)
        accepted = time.perf_counter() - began
        delivered = delivered_at(sink, seen + copies) - began
        used = quiet_cpu(peer) - before
        if sink.n != seen + copies:
            msg = f"the sink has {sink.n - seen} of {copies}"
            raise ValueError(msg)
    finally:
        peer.stop()
        sink.p.terminate()
        sink.p.wait()
    each_ms, pss_mb = used * 1000 / copies, peer.peak_pss / 1024
    return Figures(copies / delivered, copies / accepted, each_ms, pss_mb)


def spread(values: Sequence[float], digits: int = 2) -> str:
    three = (min(values), statistics.median(values), max(values))
    return "/".join(f"{value:.{digits}f}" for value in three)


def tell(name: str, ours: Sequence[Figures], beside: Sequence[Figures]) -> None:
    rate = [a.delivered / b.delivered for a, b in zip(ours, beside, strict=True)]
    cpu = [a.cpu_ms / b.cpu_ms for a, b in zip(ours, beside, strict=True)]
    print(
        f"  {name:16} {spread([one.delivered for one in ours], 0):18}"
        f" {spread([one.accepted for one in ours], 0):18} {spread([one.cpu_ms for one in ours]):18}"
        f" {max(one.pss_mb for one in ours):6.0f}    {spread(rate):16} {spread(cpu)}"
    )


Starts = dict[str, Callable[[], Any]]
"""By peer: what writes its configuration and returns its command and folder."""


def run_case(shared: ModuleType, name: str, starts: Starts, rounds: int) -> None:
    case = CASES[name]
    figures: dict[str, list[Figures]] = {peer: [] for peer in starts}
    for _ in range(rounds):
        for peer, start in starts.items():
            figures[peer].append(run_once(shared, start, case))
    print(f"\n{name}: {case}, minimum/median/maximum of {rounds} rounds")
    print(
        f"  {'peer':16} {'delivered/s':18} {'accepted/s':18} {'CPU ms':18} PSS MB"
        f"    {'x rate':16} x CPU"
    )
    first = next(iter(figures.values()))
    for peer, some in figures.items():
        tell(peer, some, first)


def load_shared() -> ModuleType | None:
    if not (SHARED / "relay" / "run.py").exists():
        print("skipped: the developers' bench is not beside the checkout")
        return None
    if not (shutil.which("postfix") and shutil.which("smtp-source")):
        print("skipped: Postfix is not installed (tests/install-daemons)")
        return None
    # By their path: our own run.py has the same name.
    sys.path[:0] = [str(SHARED / "common"), str(SHARED / "relay")]
    spec = importlib.util.spec_from_file_location("shared_run", SHARED / "relay" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    shared.peers.PORT, shared.peers.UP = free_port(), free_port()
    return shared


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--case", default=",".join(CASES))
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--peers", default="postfix,indicia", help="the others beside the first")
    given = asked.parse_args()
    shared = load_shared()
    if shared is None:
        return
    peers = shared.peers
    for name in given.case.split(","):
        one_each = {"smtp_destination_recipient_limit": "1"} if CASES[name].recipients > 1 else {}
        known = peers.PEERS | {
            "postfix": partial(peers.postfix, **one_each),
            "indicia": partial(indicia, peers, "indicia", ()),
            "indicia-2": partial(indicia, peers, "indicia-2", ("--workers", "2")),
        }
        starts = {peer: known[peer] for peer in given.peers.split(",")}
        run_case(shared, name, starts, given.rounds)


if __name__ == "__main__":
    main()
