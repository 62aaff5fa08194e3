"""Of whom somebody asks, as it is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console.pair import Pair, read_pair
from ledger.address import parse_address

ANN, BOB = parse_address("ann@sales.example"), parse_address("Bob@example.org")


@pytest.mark.parametrize(
    ("query", "pair"),
    [
        ({"from": str(ANN), "to": f" {BOB} ", "account": ""}, Pair(ANN, BOB)),
        ({"to": str(BOB)}, Pair(None, BOB)),
        ({"from": "", "to": str(BOB), "account": "ann"}, Pair(None, BOB, "ann")),
        ({}, None),
        ({"before": "7"}, None),
    ],
)
def test_a_pair_needs_whom_and_may_have_no_sender(query: dict[str, str], pair: Pair | None) -> None:
    asked = read_pair(query)
    assert (asked.pair, asked.faults) == (pair, {})


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"from": "ann"}, ["to"]),
        ({"account": "ann"}, ["to"]),
        ({"from": "ann", "to": "bob@"}, ["from", "to"]),
        ({"to": "bob@example.org, eve@example.org"}, ["to"]),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(query: dict[str, str], fields: list[str]) -> None:
    asked = read_pair(query)
    assert (asked.pair, list(asked.faults)) == (None, fields)
    assert {name: asked.words[name] for name in query} == query


@given(st.dictionaries(st.sampled_from(["from", "to", "account"]), st.text(max_size=30)))
def test_nothing_that_is_typed_makes_it_raise(query: dict[str, str]) -> None:
    asked = read_pair(query)
    assert asked.pair is None or not asked.faults
