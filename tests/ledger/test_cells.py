import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ledger.cells import EVENT_KEYS, csv_cell, csv_line
from ledger.event import Event, EventType, event_object


@given(st.text())
def test_no_cell_is_a_formula(text: str) -> None:
    """Law: no cell begins with a character that makes it a formula."""
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=1))
def test_a_line_is_read_back_cell_by_cell(texts: list[str]) -> None:
    read = next(csv.reader(io.StringIO(csv_line(texts), newline="")))
    assert read == [csv_cell(text) for text in texts]


def test_the_columns_are_what_an_event_tells() -> None:
    told = event_object(Event("E1", EventType.RELAYED, datetime(2026, 11, 23, tzinfo=UTC)))
    assert set(EVENT_KEYS) == set(told)
