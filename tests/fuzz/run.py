"""Sends mutated mail the whole way through the relay's pure part, and says what breaks.

    .venv/bin/python tests/fuzz/run.py SECONDS [--seed 1] [--inputs N] [--state var/fuzz]
        [--sample 500] [--only NUMBER]

Input number n of a seed is always the same for the same corpus, so a run goes on where the last
one of its seed ended, and `--only n` repeats one input.  What is found is in STATE/SEED.failures.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from material import Pool, load_pool, make_input
from watch import Check, independent_checker, watch

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SLOW_S = 1.0
KEPT_EVERY_S = 30.0


@dataclass
class Run:
    """One seed's inputs so far."""

    seed: int
    pool: Pool
    checker: Check | None
    sample: int
    following: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    failures: list[str] = field(default_factory=list)
    told: int = 0
    """How many failures are written down."""

    def take(self, number: int) -> None:
        """Take one input the whole way and note what came of it."""
        raw = make_input(self.pool, self.seed, number)
        even = number % 2 == 0  # odd ones have links in text, which it does not know
        checker = self.checker if even and number % self.sample == 0 else None
        begin = time.perf_counter()
        try:
            watch(raw, number, self.counts, checker)
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked for
            self.failures.append(f"{number} {type(error).__name__}: {error}"[:700])
        took = time.perf_counter() - begin
        if checker is None:
            self.slowest = max(self.slowest, (took, number))
            if took > SLOW_S:
                self.failures.append(f"{number} slow: {took:.2f} s for {len(raw)} bytes")
        self.counts["inputs"] += 1


def main() -> int:
    words = argparse.ArgumentParser()
    words.add_argument("seconds", type=float)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--inputs", type=int, default=10**12)
    words.add_argument("--state", type=Path)
    words.add_argument("--sample", type=int, default=500)
    words.add_argument("--only", type=int)
    said = words.parse_args()
    run = Run(
        said.seed,
        load_pool(SHARED / "corpus"),
        independent_checker(SHARED / "tools"),
        said.sample,
    )
    if said.only is not None:
        sys.stdout.buffer.write(make_input(run.pool, run.seed, said.only))
        run.sample = 1
        run.take(said.only)
        sys.stderr.write(f"{run.failures or 'nothing found'}\n")
        return bool(run.failures)
    state = said.state / f"{said.seed}.json" if said.state else None
    if state and state.exists():
        before = json.loads(state.read_text())
        run.following = before["next"]
        run.counts.update(before["counts"])
    _go_on(run, time.monotonic() + said.seconds, run.following + said.inputs, state)
    sys.stdout.write(json.dumps(_keep(run, state)) + "\n")
    sys.stderr.writelines(f"{line}\n" for line in run.failures[:20])
    return bool(run.failures)


def _go_on(run: Run, until: float, end: int, state: Path | None) -> None:
    """Take inputs until the time or their number is over, or until the process is asked to end."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    kept_at = time.monotonic()
    while run.following < end and time.monotonic() < until and not asked:
        for _ in range(min(50, end - run.following)):
            run.take(run.following)
            run.following += 1
        if time.monotonic() > kept_at + KEPT_EVERY_S:
            _keep(run, state)
            kept_at = time.monotonic()


def _keep(run: Run, state: Path | None) -> dict[str, object]:
    """Write what a later run goes on from, and what was found; return it."""
    summary: dict[str, object] = {
        "seed": run.seed,
        "next": run.following,
        "corpus": run.pool.corpus,
        "checker": run.checker is not None,
        "slowest_s_and_input": [round(run.slowest[0], 4), run.slowest[1]],
        "failures_now": len(run.failures),
        "counts": dict(run.counts.most_common()),
    }
    if state:
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(json.dumps(summary, indent=1))
        with state.with_suffix(".failures").open("a") as file:
            file.writelines(f"{line}\n" for line in run.failures[run.told :])
        run.told = len(run.failures)
    return summary


if __name__ == "__main__":
    sys.exit(main())
