"""Names in order of time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ident import RANDOM_BITS, is_ident, new_ident

MOMENTS = st.integers(0, (1 << 48) - 1)
DICE = st.integers(0, (1 << RANDOM_BITS) - 1)


def test_a_name_is_the_ulid_of_its_moment() -> None:
    # The example of the ULID specification: 1469918176385 ms is written 01ARYZ6S41.
    assert new_ident(1469918176385, 0) == "01ARYZ6S41" + "0" * 16
    assert new_ident(0, 0) == "0" * 26
    assert new_ident((1 << 48) - 1, (1 << 80) - 1) == "7" + "Z" * 25


@given(MOMENTS, DICE, MOMENTS, DICE)
def test_law_names_sort_as_their_moments_do(
    one_ms: int, one_bits: int, other_ms: int, other_bits: int
) -> None:
    one, other = new_ident(one_ms, one_bits), new_ident(other_ms, other_bits)
    assert (one < other) is ((one_ms, one_bits) < (other_ms, other_bits))
    assert (one == other) is ((one_ms, one_bits) == (other_ms, other_bits))


@given(MOMENTS, DICE)
def test_a_name_is_known_by_its_form(now_ms: int, random_bits: int) -> None:
    name = new_ident(now_ms, random_bits)
    assert is_ident(name)
    assert re.fullmatch("[0-9A-Z]{26}", name)


def test_bits_too_many_are_left_out() -> None:
    assert new_ident(1 << 48, 1 << 80) == new_ident(0, 0)


@pytest.mark.parametrize(
    "text",
    ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "U", "0" * 25 + "a", "0" * 26 + "\n"],
)
def test_another_form_is_no_name(text: str) -> None:
    assert not is_ident(text)
