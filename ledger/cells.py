"""Rows as CSV: every cell quoted, and none a formula."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from ledger.event import Event

EVENT_KEYS = (
    *(one.name for one in fields(Event) if one.name not in ("relabels", "label_before")),
    "machine",
)
"""The columns of events; a re-labelling is told there by its type and its label."""

# Spreadsheets run what begins so (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Iterable[object]) -> str:
    """Return one row without its line end: every cell quoted (RFC 4180), none a formula."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(map(csv_cell, cells))
    return line.getvalue()


def csv_cell(value: object) -> str:
    """Return a value as a cell.

    Law: no cell begins with a character that makes it a formula.
    """
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case str():
            text = value
        case Mapping() | Sequence():
            text = json.dumps(value, ensure_ascii=False) if value else ""
        case _:
            text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
