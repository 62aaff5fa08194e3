"""The forms in which commands print: lines of JSON, CSV, columns.

What comes from outside is shown without control characters, so that no subject can steer a
terminal, and no cell of a table becomes a formula in a spreadsheet.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from ledger.cells import csv_line

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


class Format(StrEnum):
    """How the rows of a list are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def print_line(text: str = "") -> None:
    """Print a line at once, for whoever follows; as it is, which typer.echo does not promise."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(row: Mapping[str, object]) -> None:
    """Print one object on one line."""
    print_line(json.dumps(row, ensure_ascii=False, separators=(", ", ": ")))


def print_csv(cells: Iterable[object]) -> None:
    """Print one row: every cell quoted (RFC 4180), none a formula."""
    print_line(csv_line(cells))


def plain_text(text: object) -> str:
    """Return a text on one line, without what would steer a terminal.

    Law: no control character and no change of writing direction is left.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def columns(cells: Sequence[object], widths: Sequence[int]) -> str:
    """Return cells as one line; the last is as long as it is, the others are cut to their width."""
    texts = [plain_text(cell) for cell in cells]
    laid = [_cut(text, width).ljust(width) for text, width in zip(texts, widths, strict=False)]
    return "  ".join([*laid, *texts[len(widths) :]]).rstrip()


def table(rows: Sequence[Sequence[object]], indent: str = "") -> list[str]:
    """Return rows as lines whose columns are as wide as their widest cell."""
    texts = [[plain_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)][:-1]
    return [indent + columns(row, widths) for row in texts]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
