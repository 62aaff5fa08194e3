"""Pages that speak of the code are held to it."""

import re
from dataclasses import fields
from pathlib import Path

from ledger.event import Event

ROOT = Path(__file__).resolve().parents[1]


def test_every_deviation_in_the_code_is_listed_and_none_besides() -> None:
    listed = set(re.findall(r"^\| `([\w/]+\.py)` \|", _read("specifications.md"), re.MULTILINE))
    marked = {
        str(path.relative_to(ROOT))
        for room in ("relay", "collector", "ledger", "config", "indicia")
        for path in (ROOT / room).rglob("*.py")
        if "# Deviates:" in path.read_text()
    }
    assert listed == marked


def test_every_field_of_an_event_is_told() -> None:
    told = set(
        re.findall(
            r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", _read("events.md"), re.MULTILINE))
        )
    )
    assert told == {field.name for field in fields(Event)} - {"relabels", "label_before"} | {
        "machine",
        "from",
        "to",
    }


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_every_page_that_the_code_names_is_there() -> None:
    named = {
        name
        for room in ("relay", "collector", "ledger", "config", "indicia", "tests")
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text())
    }
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def _read(name: str) -> str:
    return (ROOT / "docs" / name).read_text()
