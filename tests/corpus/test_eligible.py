"""It is not by leaving mail alone that nothing is harmed: what is tracked is a reviewed list.

eligible.tsv has a row for each corpus file in which something is tracked.  docs/reasons.md has a
table of what is left alone, and says who looked at it.  After a review
`INDICIA_ACCEPT_CORPUS=1 pytest tests/corpus/test_eligible.py` writes both anew.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.address import parse_address
from ledger.mode import TrackingMode
from relay.intake import prepare_send
from relay.mail import Client, Envelope, Submission
from relay.policy import Policy
from relay.promise import Stored
from relay.template import Template
from relay.verdict import PassReason

pytestmark = pytest.mark.corpus

_REASONS = Path(__file__).parents[2] / "docs" / "reasons.md"
_POLICY = Policy("relay.test", "https://t.example", unknown_consent=TrackingMode.INDIVIDUAL)
_HEAD = "sha256\tmessages\tpixel\tlinks\thttp_left\tleft\tname"
_TABLE = re.compile(r"(?s)(<!-- corpus table -->\n).*?(<!-- end -->)")
_COUNTED = re.compile(r"^Counted on \d{4}-\d\d-\d\d ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiled:
    message: Any
    template: Template

    @property
    def row(self) -> tuple[int, int, int, str]:
        """Pixel, links, links to the web that were left, and all that were left, by reason."""
        template = self.template
        slots = {segment for layout in template.layouts for segment in layout.segments}
        pixel = any(getattr(segment, "number", None) == 0 for segment in slots)
        http = sum(re.match(r"(?i)\s*https?:", left.url) is not None for left in template.left)
        reasons = Counter(left.reason.reason.value for left in template.left)
        left = " ".join(f"{reason}={number}" for reason, number in sorted(reasons.items()))
        return int(pixel), len(template.links), http, left or "-"


@pytest.fixture(scope="module")
def compiled(real_messages: list[Any], wrapped_messages: list[Any]) -> list[Compiled]:
    return [
        Compiled(message, stored.template)
        for message in (*real_messages, *wrapped_messages)
        if not re.search(rb"\0|\r(?!\n)", message.raw)  # never comes to the stages
        and isinstance(stored := prepare_send(_submission(message.raw), _POLICY, 1), Stored)
    ]


def _submission(raw: bytes) -> Submission:
    return Submission(
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        Envelope(parse_address("s@sender.test"), (parse_address("to@rcpt.test"),)),
        raw,
        datetime(2026, 11, 24, 8, tzinfo=UTC),
        Client("127.0.0.1", "check.test"),
    )


def test_nothing_is_left_alone_by_a_fault_of_ours(compiled: list[Compiled]) -> None:
    passed = [(one.message.name, one.template.passed) for one in compiled if one.template.passed]
    assert [each for each in passed if each[1].reason is PassReason.OUR_FAULT] == []


def test_what_is_tracked_is_as_reviewed(compiled: list[Compiled], eligible: Path) -> None:
    text = "".join(f"{line}\n" for line in (_HEAD, *_rows(compiled)))
    if os.environ.get("INDICIA_ACCEPT_CORPUS"):
        eligible.write_text(text, "utf-8")
    assert text.splitlines() == eligible.read_text("utf-8").splitlines()


def _rows(compiled: list[Compiled]) -> Iterator[str]:
    """One for each file; however it is wrapped, the same is tracked in it."""
    by_file: dict[tuple[str, str], list[Compiled]] = {}
    for one in compiled:
        if one.template.layouts:
            by_file.setdefault((one.message.name, one.message.sha256), []).append(one)
    for (name, sha256), messages in sorted(by_file.items()):
        rows = {one.row for one in messages}
        assert len(rows) == 1, (name, [(one.message.wrapped, one.row) for one in messages])
        values = (sha256[:16], len(messages), *rows.pop(), name)
        yield "\t".join(map(str, values))


def test_what_is_left_alone_is_as_the_documentation_says(compiled: list[Compiled]) -> None:
    text = _REASONS.read_text("utf-8")
    made = _TABLE.sub(lambda match: f"{match[1]}\n{_table(compiled)}\n{match[2]}", text)
    if os.environ.get("INDICIA_ACCEPT_CORPUS"):
        _REASONS.write_text(made, "utf-8")
    assert _COUNTED.sub("", made) == _COUNTED.sub("", _REASONS.read_text("utf-8"))


def _table(compiled: list[Compiled]) -> str:
    tracked = sum(bool(one.template.layouts) for one in compiled)
    links = sum(len(one.template.links) for one in compiled)
    lines = [
        f"Counted on {datetime.now(UTC):%Y-%m-%d} over {len(compiled):,} messages.",
        f"{tracked:,} of them are tracked, with {links:,} links.",
        "",
        "| left alone | reason | real mail | wrapped HTML |",
        "|---|---|---:|---:|",
    ]
    counts = {wrapped: _counts(compiled, wrapped=wrapped) for wrapped in (False, True)}
    both = counts[False] + counts[True]
    for (what, reason), _ in sorted(both.items(), key=lambda item: (-item[1], item[0])):
        real, wrapped = (counts[each][what, reason] for each in (False, True))
        lines.append(f"| {what} | `{reason}` | {real:,} | {wrapped:,} |")
    return "\n".join((*lines, ""))


def _counts(compiled: list[Compiled], *, wrapped: bool) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for one in compiled:
        if bool(one.message.wrapped) is not wrapped:
            continue
        template = one.template
        if template.passed:
            counts["message", template.passed.reason.value] += 1
        else:
            # Where the whole message is left alone, its parts are for the same reason.
            counts.update(
                ("part", part.reason.reason.value) for part in template.parts if part.reason
            )
        counts.update(("link", left.reason.reason.value) for left in template.left)
    return counts
