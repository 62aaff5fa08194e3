import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicia.printing import columns, plain_text, print_csv, print_json, table
from ledger.cells import csv_cell


@given(st.text())
def test_no_cell_is_a_formula(text: str) -> None:
    """Law: no cell begins with a character that makes it a formula."""
    cell = csv_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.removeprefix("'") == text.removeprefix("'")


@given(st.text())
def test_no_text_steers_a_terminal(text: str) -> None:
    """Law: no control character and no change of writing direction is left."""
    shown = plain_text(text)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [
        char
        for char in shown
        if unicodedata.bidirectional(char) in ("LRO", "RLO", "LRE", "RLE", "PDF")
    ]
    assert len(shown) == len(text)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0.5, "0.5"),
        (-1, "'-1"),
        ([], ""),
        (["=a"], '["=a"]'),
        ({}, ""),
        ({"k": "ü"}, '{"k": "ü"}'),
        ("=1+1", "'=1+1"),
    ],
)
def test_a_value_as_a_cell(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


def test_every_cell_is_quoted_and_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(['a"b', "c,d\ne", None, 1])
    printed = capsys.readouterr().out
    assert printed == '"a""b","c,d\ne","","1"\n'
    assert list(csv.reader(io.StringIO(printed))) == [['a"b', "c,d\ne", "", "1"]]


def test_an_object_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "x\ny", "b": ["ü"]})
    assert capsys.readouterr().out == '{"a": "x\\ny", "b": ["ü"]}\n'


def test_columns_are_cut_and_the_last_is_whole() -> None:
    assert columns(("abcdef", "b", "a long end"), (4, 3)) == "abc…  b    a long end"
    assert table([("a", "bb", "c"), ("aaa", "b", "")], indent="  ") == ["  a    bb  c", "  aaa  b"]
    assert table([]) == []
