"""The same laws under Atheris, which looks for inputs that reach new code.

    .venv/bin/python tests/fuzz/guided.py SECONDS [--state var/fuzz]

Atheris is in the group `fuzz`: `uv sync --inexact --group fuzz`.  Where it is not installed, that
is said and nothing is done.  Inputs that reached new code stay in STATE/guided, so a run goes on
where the last one ended.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.stdout.write("skipped: Atheris is not installed (uv sync --inexact --group fuzz)\n")
    sys.exit(0)

with atheris.instrument_imports(include=["relay"]):
    import watch

import material

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("seconds", type=int)
    words.add_argument("--state", type=Path, default=Path("var/fuzz"))
    said = words.parse_args()
    folder = said.state / "guided"
    if not folder.exists():
        folder.mkdir(parents=True)
        pool = material.load_pool(SHARED / "corpus")
        for number, raw in enumerate(pool.messages):
            (folder / f"seed-{number}").write_bytes(raw[: material.MAX_BYTES])
    counts: Counter[str] = Counter()

    def take(given: bytes) -> None:
        counts["inputs"] += 1
        watch.watch(material.as_submitted(given), counts["inputs"], counts, None)

    limits = [f"-max_total_time={said.seconds}", f"-max_len={material.MAX_BYTES}", "-timeout=5"]
    artifacts = f"-artifact_prefix={said.state}/"
    atheris.Setup([sys.argv[0], *limits, artifacts, "-print_final_stats=1", str(folder)], take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
