"""The whole corpus through a real relay, each copy held against the original by the checker.

The checker shares no code with the product.  What is asked of it and of the mail left alone is in
eligible.tsv, which test_eligible.py holds and writes.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.corpus

_UPSTREAM = """
[[upstream]]
name = "sink"
host = "127.0.0.1"
port = {}
tls = "none"
"""
_RECIPIENTS = 3
_NO_8BIT = ("--no-ext", "8BITMIME", "--no-ext", "SMTPUTF8")


class Checked:
    """What the checker reports of one run."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.summary: dict[str, Any] = report["summary"]
        self.problems: list[dict[str, Any]] = report["problems"]
        self.refusals: list[dict[str, Any]] = report["refusals"]

    def count(self, name: str) -> int:
        return int(self.summary.get(name, 0))


@pytest.fixture
def check(
    relay_check: Path,
    start_indicia: Callable[..., Any],
    ports: Callable[[], int],
    tmp_path: Path,
) -> Callable[..., Checked]:
    """Send folders of messages through a relay of one's own, and check every copy."""
    sink = ports()
    indicia = start_indicia(_UPSTREAM.format(sink))

    def run(*folders: Path, more: tuple[str, ...] = ()) -> Checked:
        report = tmp_path / "report.json"
        words = [
            *(sys.executable, relay_check, *folders, *more),
            *("--relay", f"127.0.0.1:{indicia.smtp}", "--sink", f"127.0.0.1:{sink}"),
            *("--collector", f"127.0.0.1:{indicia.collector}"),
            *("--base-url", f"http://127.0.0.1:{indicia.collector}", "--max-links", "1000"),
            *("--rcpts", str(_RECIPIENTS), "--bcc", "must", "--pixel-anywhere"),
            *("--may-drop-header", "x-indicia-.*", "--timeout", "300", "--json", report),
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
        assert report.exists(), (done.returncode, done.stdout, done.stderr)
        return Checked(json.loads(report.read_text("utf-8")))

    return run


@pytest.fixture(scope="module")
def wrapped(wrapped_messages: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(wrapped_messages, tmp_path_factory.mktemp("wrapped"))


def _write(messages: list[Any], folder: Path) -> Path:
    for number, message in enumerate(messages):
        (folder / f"{number:04}.eml").write_bytes(message.raw)
    return folder


def _reviewed(eligible: Path) -> dict[str, tuple[int, int, int, int]]:
    """By file: its messages, whether each has a pixel, its links, its web links left alone."""
    lines = eligible.read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {row[-1]: (int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows}


def test_every_recipient_gets_one_copy_that_is_the_original_with_marks(
    check: Callable[..., Checked], corpus: Path, wrapped: Path, eligible: Path
) -> None:
    checked = check(corpus, wrapped)
    _assert_no_harm(checked)
    assert checked.count("bounced") == checked.count("bounces_to_senders") == 0
    assert checked.summary["sink"] == {}
    assert not [note for note in checked.summary["notes"] if "it will not load" in note]

    rows = _reviewed(eligible).values()
    copies = [(messages * _RECIPIENTS, pixel, links) for messages, pixel, links, _ in rows]
    assert checked.count("instrumented") == sum(number for number, *_ in copies)
    assert checked.count("pixels") == sum(number * pixel for number, pixel, _ in copies)
    assert checked.count("links_rewritten") == sum(number * links for number, _, links in copies)
    assert checked.summary["redirects"] == {"right": checked.count("links_rewritten")}


def test_the_same_through_an_upstream_without_8bitmime_and_smtputf8(
    check: Callable[..., Checked], corpus: Path, wrapped: Path
) -> None:
    checked = check(corpus, wrapped, more=_NO_8BIT)
    _assert_no_harm(checked)
    # 8-bit text goes as it is: encoding it anew would change what must not change.  What needs
    # SMTPUTF8 can not go and is bounced (RFC 6531 3.2), and nothing not offered is asked for.
    assert set(checked.summary["sink"]) == {"8-bit data though 8BITMIME not offered"}
    assert checked.count("bounced") > 0


def _assert_no_harm(checked: Checked) -> None:
    assert checked.problems == []
    assert checked.count("changed_wrongly") == 0
    assert checked.count("duplicated") == 0
    assert checked.count("lost_(no_acked_copy,_no_bounce)") == 0
    assert checked.summary["unexpected_recipients"] == []
    assert checked.count("wanted") == checked.count("accepted_by_relay") * _RECIPIENTS
    assert set(checked.summary["redirects"]) == {"right"}
    refused = [each["file"] for each in checked.refusals]
    assert [file for file in refused if not _may_be_refused(Path(file).read_bytes())] == []
    assert checked.count("accepted_by_relay") + len(refused) == checked.count("files")


def _may_be_refused(stored: bytes) -> bool:
    header = re.split(rb"\r?\n\r?\n", stored, maxsplit=1)[0]
    received = re.findall(rb"(?im)^received[ \t]*:", header)
    return b"\0" in stored or re.search(rb"\r(?!\n)", stored) is not None or len(received) > 49


def test_mail_whose_links_may_all_be_tracked_has_a_pixel_and_every_link_tracked(
    check: Callable[..., Checked],
    real_messages: list[Any],
    wrapped_messages: list[Any],
    eligible: Path,
    tmp_path: Path,
) -> None:
    reviewed = _reviewed(eligible)
    wholly = {name for name, (_, pixel, _, left) in reviewed.items() if pixel and not left}
    messages = [one for one in (*real_messages, *wrapped_messages) if one.name in wholly]
    folder = tmp_path / "wholly"
    folder.mkdir()
    checked = check(_write(messages, folder), more=("--require-pixel", "--require-links"))
    assert checked.problems == []
    assert checked.count("instrumented") == len(messages) * _RECIPIENTS
    assert checked.count("links_rewritten") == checked.count("http_links_in_instrumented_mail")
