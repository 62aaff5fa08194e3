"""How long a client's 250 is under way after its mail is durable (docs/promises.md, D14).

`python bench/relay/window.py [--mails 3000] [--clients 10] [--size 5000]`
A whole relay runs in this process, tracking on; Postfix's smtp-source sends, its smtp-sink takes.
Told is the time from the return of the commit to the call that writes the 250 to the socket.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import structlog
import uvloop
from memory import sinking
from serving import free_port, write_configuration

from config.load import load_settings
from indicia.serving import quiet_gc
from indicia.storage import opened_stores
from ledger.keys import load_keys
from relay.accept.connection import Connection
from relay.app import run_relay
from relay.spool import Spool


def watch() -> list[float]:
    """Return the times in seconds, which grow as mail is answered."""
    durable_at: dict[str, float] = {}
    took_s: list[float] = []
    remember, say = Spool._remember, Connection._say

    def remembering(spool: Spool, job: object) -> None:
        for stored, _ in job.sends:  # type: ignore[attr-defined] # a Job
            durable_at[stored.submission.send_id] = perf_counter()
        remember(spool, job)  # type: ignore[arg-type] # passed on

    async def saying(connection: Connection, answer: object) -> None:
        begun = durable_at.pop(str(answer).rpartition(" ")[2], None)
        if begun is not None:
            took_s.append(perf_counter() - begun)
        await say(connection, answer)  # type: ignore[arg-type] # passed on

    Spool._remember = remembering  # type: ignore[method-assign,assignment] # watched from outside
    Connection._say = saying  # type: ignore[method-assign,assignment] # watched from outside
    return took_s


async def measure(config: Path, port: int, asked: argparse.Namespace) -> None:
    settings = load_settings(config, {})
    async with (
        opened_stores(settings) as stores,
        run_relay(settings, stores, load_keys(settings.keys_dir)),
    ):
        quiet_gc()
        words = f"smtp-source -d -s {asked.clients} -l {asked.size} -m {asked.mails}".split()
        more = ("-f", "a@bench.test", "-t", "b@example.test", f"127.0.0.1:{port}")
        process = await asyncio.create_subprocess_exec(*words, *more)
        await process.wait()


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__)
    asking.add_argument("--mails", type=int, default=3000)
    asking.add_argument("--clients", type=int, default=10)
    asking.add_argument("--size", type=int, default=5000)
    asked = asking.parse_args()
    if not (shutil.which("smtp-sink") and shutil.which("smtp-source")):
        print("skipped: Postfix is not installed (tests/install-daemons)")
        return
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    took_s = watch()
    with tempfile.TemporaryDirectory() as folder, sinking() as sink:
        port = free_port()
        config = write_configuration(Path(folder), port, sink)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measure(config, port, asked))
    some = sorted(took_s)
    p50, p99 = (some[len(some) * part // 100] * 1000 for part in (50, 99))
    print(
        f"{len(some)} mails: p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {some[-1] * 1000:.1f} ms"
    )


if __name__ == "__main__":
    main()
