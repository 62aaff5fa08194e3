"""CPU to instrument a mail: parse, compile and stamp, beside mailsplit and a bare copy, in turns.

`python bench/instrument/run.py [--rounds 5] [--seconds 0.3] [--size 60000] [--links 60]`
`python bench/instrument/run.py --stages` tells what each stage of taking in a mail costs.

The mail and mailsplit's program are those of ../shared/bench/instrument; mailsplit itself comes
from npm into a folder that is removed, or from `--mailsplit FOLDER`, in which it was installed.
Every round runs each once; figures are minimum, median and maximum of process CPU over the rounds,
ratios are taken within a round.
"""

import argparse
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from ledger.address import parse_address
from ledger.fact import fact_object
from ledger.token import TokenKey
from relay.compile import compile_template
from relay.explain import explain_send
from relay.facts import accepted_fact
from relay.intake import prepare_send
from relay.judge import judge
from relay.mail import Client, Copy, Envelope, Submission
from relay.mime.entity import parse_entity
from relay.pack import pack_template, unpack_template
from relay.policy import Policy
from relay.send import Send
from relay.split import split_copies
from relay.stamp import is_anonymous, prepare_layout, stamp_prepared
from relay.template import Template
from relay.verdict import Accept

SHARED = Path(__file__).resolve().parents[3] / "shared" / "bench" / "instrument"
ENCODINGS = ("base64", "quoted-printable", "8bit")
POLICY = Policy("relay.shop.example", "https://t.shop.example")
KEY = TokenKey(1, b"k" * 32)
RECIPIENTS = (1, 100)

Cell = Callable[[], object]
Figures = Mapping[str, list[float]]


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, and what the stages make of it."""

    submission: Submission
    accept: Accept
    template: Template
    copy: Copy


def read_mail(raw: bytes) -> Mail:
    sender, recipient = (parse_address(text) for text in ("news@shop.example", "ann@x.example"))
    client = Client("192.0.2.1", "laptop.shop.example")
    submission = Submission(
        "0" * 26, Envelope(sender, (recipient,)), raw, datetime.now(UTC), client
    )
    accept = judge(submission, parse_entity(raw), POLICY)
    assert isinstance(accept, Accept), accept
    template = compile_template(submission, parse_entity(raw), accept, POLICY)
    (copy,) = split_copies(submission.send_id, accept, template, KEY.key_id, count(1))
    assert copy.layout is not None, template.passed
    return Mail(submission, accept, template, copy)


def parse_and_compile(mail: Mail) -> Template:
    entity = parse_entity(mail.submission.raw)
    return compile_template(mail.submission, entity, mail.accept, POLICY)


def instrument_cells(mail: Mail) -> dict[str, Cell]:
    prepared = prepare_layout(mail.template, 0, anonymous=is_anonymous(mail.copy))
    message = bytearray(stamp_prepared(prepared, mail.copy, KEY))
    return {
        "compile": lambda: parse_and_compile(mail),
        "prepare": lambda: prepare_layout(mail.template, 0, anonymous=is_anonymous(mail.copy)),
        "stamp": lambda: stamp_prepared(prepared, mail.copy, KEY),
        "memcpy": lambda: bytes(message),
    }


def stage_cells(mail: Mail) -> dict[str, Cell]:
    submission, raw, template = mail.submission, mail.submission.raw, mail.template
    entity, copies = parse_entity(raw), (mail.copy,)
    explained = explain_send(mail.accept, template, copies)
    send = Send(submission, mail.accept, template, copies)
    fact = accepted_fact(send, explained, map(str, count()))
    packed = pack_template(template)
    prepared = prepare_layout(template, 0, anonymous=is_anonymous(mail.copy))
    return {
        "parse": lambda: parse_entity(raw),
        "judge": lambda: judge(submission, entity, POLICY),
        "compile": lambda: compile_template(submission, entity, mail.accept, POLICY),
        "split": lambda: split_copies(submission.send_id, mail.accept, template, 1, count(1)),
        "explain": lambda: explain_send(mail.accept, template, copies),
        "fact": lambda: accepted_fact(send, explained, map(str, count())),
        "all of these": lambda: prepare_send(submission, POLICY, KEY.key_id),
        "pack": lambda: pack_template(template),
        "fact as JSON": lambda: json.dumps(fact_object(fact)),
        "unpack": lambda: unpack_template(packed),
        "prepare": lambda: prepare_layout(template, 0, anonymous=is_anonymous(mail.copy)),
        "stamp": lambda: stamp_prepared(prepared, mail.copy, KEY),
    }


def milliseconds(cell: Cell, budget_s: float) -> float:
    """Return the CPU of one call: the mean over a budget."""
    cell()
    calls, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < budget_s or calls < 3:
        cell()
        calls += 1
    return spent / calls * 1000


def mailsplit_ms(folder: Path, message: Path, seconds: float) -> float:
    command = ["node", str(SHARED / "mailsplit_peer.js"), str(message), str(seconds)]
    environment = {
        "NODE_PATH": str(folder / "node_modules"),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(told.stdout.split()[0]) / 1000


def install_mailsplit(folder: Path) -> Path | None:
    if not (shutil.which("node") and shutil.which("npm")):
        print("node and npm are missing (Debian: nodejs npm): mailsplit is left out.")
        return None
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]
    if subprocess.run([*command, "mailsplit"], check=False).returncode:
        print("npm could not install mailsplit: it is left out.")
        return None
    return folder


def run_rounds(cells: Mapping[str, Cell], rounds: int, budget_s: float) -> Figures:
    figures: dict[str, list[float]] = {name: [] for name in cells}
    for _ in range(rounds):
        for name, cell in cells.items():
            figures[name].append(milliseconds(cell, budget_s))
    return figures


def spread(figures: Sequence[float], digits: int = 3) -> str:
    three = (min(figures), statistics.median(figures), max(figures))
    return " / ".join(f"{figure:.{digits}f}" for figure in three)


def compare(raw: bytes, folder: Path | None, asked: argparse.Namespace) -> Figures:
    """Return the figures of a message, the peer's among them where it is there."""
    cells = instrument_cells(read_mail(raw))
    figures: dict[str, list[float]] = {name: [] for name in cells}
    if folder:
        figures["mailsplit"] = []
        (folder / "message.eml").write_bytes(raw)
    for _ in range(asked.rounds):
        for name, cell in cells.items():
            figures[name].append(milliseconds(cell, asked.seconds))
        if folder:
            message = folder / "message.eml"
            figures["mailsplit"].append(mailsplit_ms(folder, message, asked.seconds))
    return figures


def print_comparison(encoding: str, size: int, figures: Figures) -> None:
    print(f"\n{encoding}, a message of {size} bytes: ms, minimum / median / maximum")
    for name, values in figures.items():
        print(f"  {name:12} {spread(values, 4 if name == 'memcpy' else 3)}")
    for copies in RECIPIENTS:
        each = [
            (compiled + prepared) / copies + stamped
            for compiled, prepared, stamped in zip(
                figures["compile"], figures["prepare"], figures["stamp"], strict=True
            )
        ]
        print(f"  a copy of {copies}: {spread(each)}", end="")
        by_copy = [ours / bare for ours, bare in zip(each, figures["memcpy"], strict=True)]
        print(f"; {spread(by_copy, 0)} x memcpy", end="")
        if "mailsplit" in figures:
            by_peer = [peer / ours for ours, peer in zip(each, figures["mailsplit"], strict=True)]
            print(f"; mailsplit takes {spread(by_peer, 1)} x as long", end="")
        print()


def print_stages(
    html: Callable[[int, int], str], message: Callable[[str, str], bytes], asked: argparse.Namespace
) -> None:
    print("ms of CPU: minimum / median / maximum")
    for size, links in ((5000, 5), (60000, 60)):
        for encoding in ENCODINGS:
            raw = message(html(size, links), encoding)
            figures = run_rounds(stage_cells(read_mail(raw)), asked.rounds, asked.seconds)
            print(f"\n{encoding}, HTML of {size}, {links} links, a message of {len(raw)} bytes")
            for name, values in figures.items():
                print(f"  {name:13} {spread(values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of CPU, a figure and round")
    parser.add_argument("--size", type=int, default=60000, help="of the HTML, about")
    parser.add_argument("--links", type=int, default=60)
    parser.add_argument("--mailsplit", type=Path, help="the folder it was installed in")
    parser.add_argument("--stages", action="store_true", help="each stage of taking in a mail")
    asked = parser.parse_args()
    if not (SHARED / "gen_mail.py").exists():
        sys.exit(
            f"{SHARED} is missing: the mail that is measured, and mailsplit's program, are there"
        )
    spec = importlib.util.spec_from_file_location("gen_mail", SHARED / "gen_mail.py")
    assert spec
    assert spec.loader
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    if asked.stages:
        print_stages(generator.html, generator.message, asked)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = asked.mailsplit or install_mailsplit(Path(name))
        html = generator.html(asked.size, asked.links)
        print(f"HTML of {len(html.encode())} bytes with {asked.links} links")
        for encoding in ENCODINGS:
            raw = generator.message(html, encoding)
            print_comparison(encoding, len(raw), compare(raw, folder, asked))


if __name__ == "__main__":
    main()
