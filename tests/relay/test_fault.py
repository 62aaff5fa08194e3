"""What is told of a fault of ours."""

import re

from relay.fault import pass_for_fault
from relay.mime.charref import decode_text
from relay.verdict import PassReason, PassThrough


def _raised(text: object) -> Exception:
    try:
        decode_text(text)  # type: ignore[arg-type] # a fault injected
    except TypeError as error:
        return error
    raise AssertionError(text)


def test_it_tells_what_was_raised_and_where_but_not_what_it_says() -> None:
    passed = pass_for_fault(_raised(b"secret & body"))
    assert passed.reason is PassReason.OUR_FAULT
    assert re.fullmatch(r"TypeError in relay\.mime\.charref, line \d+", passed.detail)


def test_an_error_from_nowhere_is_told_by_its_kind() -> None:
    told = pass_for_fault(ValueError("secret body"))
    assert told == PassThrough(PassReason.OUR_FAULT, "ValueError")
