"""Writes the tables of docs/classification.md: `.venv/bin/python -m tests.histories.document`."""

import re
from pathlib import Path

from collector.reasons import REASON_WORDS
from collector.rules import RULES, RULES_VERSION
from tests.histories.evaluate import HALVES, read_half, tables

PAGE = Path(__file__).parents[2] / "docs" / "classification.md"


def rules_table() -> str:
    """Return the rules as the code tells them, in their order."""
    rows = (
        f"| `{rule.__name__}` | {(rule.__doc__ or '').splitlines()[0]} "
        f"| {REASON_WORDS.get(rule.__name__, 'by name: collector/agents.py')} |"
        for rule in RULES
    )
    head = (
        f"Rules of {RULES_VERSION}:\n\n| rule | what it does, and where that was seen | shown as |"
    )
    return "\n".join([head, "|---|---|---|", *rows])


def written(page: str) -> str:
    """Return the page with its tables made anew."""
    made = {"rules": rules_table()}
    for half in HALVES:
        count = sum(1 for _ in read_half(half))
        made[half] = f"{count} histories:\n\n{tables(half)}"
    for name, text in made.items():
        block = f"<!-- {name} -->\n\n{text}\n\n<!-- end {name} -->"
        page = re.sub(
            rf"<!-- {name} -->.*?<!-- end {name} -->",
            lambda _, block=block: block,
            page,
            flags=re.DOTALL,
        )
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
