"""Cursors: what they give back, and what is none."""

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console.api.cursor import (
    read_cursor,
    read_name_cursor,
    read_number_cursor,
    write_cursor,
)
from collector.console.api.problem import ProblemError

ORDERS = st.sampled_from(["events-newest", "events-oldest", "messages", "queue"])
PLACES = st.text(st.characters(codec="utf-8"))


@given(ORDERS, PLACES)
def test_a_place_comes_back(order: str, place: str) -> None:
    # Law: read_cursor gives back what write_cursor was given, and takes nothing else.
    assert read_cursor(order, write_cursor(order, place)) == place


@given(ORDERS, st.text())
def test_nothing_else_is_taken(order: str, given_cursor: str) -> None:
    with suppress(ProblemError):
        assert write_cursor(order, read_cursor(order, given_cursor)) == given_cursor


@given(ORDERS, ORDERS, PLACES)
def test_a_cursor_of_another_list_is_none(one: str, other: str, place: str) -> None:
    if one != other:
        with pytest.raises(ProblemError):
            read_cursor(other, write_cursor(one, place))


def test_a_cursor_is_written_in_one_way_only() -> None:
    cursor = write_cursor("queue", "1")
    for other in (f"{cursor}=", f"{cursor}\n", f" {cursor}", cursor.swapcase()):
        with pytest.raises(ProblemError):
            read_cursor("queue", other)
    # Of the last letter two bits are of the place; the four below are nobody's, and must be 0.
    letters = string.ascii_letters + string.digits + "-_"
    taken = {last for last in letters if is_taken("queue", cursor[:-1] + last)}
    assert taken == set("AQgw")


def is_taken(order: str, cursor: str) -> bool:
    with suppress(ProblemError):
        read_cursor(order, cursor)
        return True
    return False


@pytest.mark.parametrize("place", ["", "x", "-1", "1.0", "١", "9" * 400])
def test_a_number_is_a_number(place: str) -> None:
    with pytest.raises(ProblemError):
        read_number_cursor("events-newest", write_cursor("events-newest", place))


def test_an_empty_cursor_is_the_beginning() -> None:
    assert read_number_cursor("events-newest", "") is None
    assert read_name_cursor("messages", "") is None


def test_a_name_is_a_name() -> None:
    name = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
    assert read_name_cursor("messages", write_cursor("messages", name)) == name
    with pytest.raises(ProblemError):
        read_name_cursor("messages", write_cursor("messages", "name"))
