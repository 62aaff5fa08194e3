"""Cursors: where a page of a list ends, as one opaque word.

A cursor names a place in an order that does not change, so what is added meanwhile moves nothing.
Law: read_cursor gives back what write_cursor was given, and takes nothing else.
"""

import base64
import binascii
from http import HTTPStatus

from collector.console.api.problem import Fault, ProblemError
from collector.console.page import read_number
from ledger.ident import is_ident


def write_cursor(order: str, place: str) -> str:
    """Return the cursor of a place in an order; `order` is one word."""
    return base64.urlsafe_b64encode(f"{order} {place}".encode()).decode().rstrip("=")


def read_cursor(order: str, cursor: str) -> str:
    """Return the place in this order that a cursor names.  Raises ProblemError."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        of, _, place = base64.b64decode(padded, b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    if of != order or write_cursor(order, place) != cursor:
        raise bad_cursor()
    return place


def read_number_cursor(order: str, cursor: str) -> int | None:
    """Return the number that a cursor names, None of an empty one.  Raises ProblemError."""
    if not cursor:
        return None
    number = read_number(read_cursor(order, cursor))
    if number is None:
        raise bad_cursor()
    return number


def read_name_cursor(order: str, cursor: str) -> str | None:
    """Return the `send_id` that a cursor names, None of an empty one.  Raises ProblemError."""
    if not cursor:
        return None
    name = read_cursor(order, cursor)
    if not is_ident(name):
        raise bad_cursor()
    return name


def bad_cursor() -> ProblemError:
    """Return the problem of a cursor that is none of this list."""
    what = "is no cursor of this list; take `next_cursor` of an answer, or leave it out"
    detail = f"Nothing was read. cursor: {what}."
    return ProblemError(HTTPStatus.BAD_REQUEST, detail, [Fault("cursor", what)])
