"""More of it, in whole documents, stands in test_outline.py."""

import pytest

from relay.mime.history import MARKS, History
from relay.mime.html import TokenKind, scan_tokens

_RULE = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"


def _read(text: str) -> tuple[History, list[bool]]:
    """Return the history of a document, and after each tag whether what comes is quoted."""
    mask = text.encode()
    history = History(mask)
    here: list[bool] = []
    for token in scan_tokens(mask):
        if token.kind is TokenKind.START:
            history.start_tag(token, inert=token.name == b"div" and b"inert" in mask)
        elif token.kind is TokenKind.END:
            history.end_tag(token)
        here.append(history.here)
    return history, here


@pytest.mark.parametrize(
    "tag",
    [
        '<div class="gmail_quote x">',
        "<div class=yahoo_quoted>",
        '<div CLASS="a MOZ-CITE-prefix">',
        "<blockquote type=cite>",
        '<div id="appendonsend">',
        "<div id=divRplyFwdMsg>",
        f'<div style="{_RULE}">',
    ],
)
def test_history_begins_where_a_mail_program_says_so(tag: str) -> None:
    history, here = _read(tag)
    assert (history.start, here) == (0, [True])
    assert tag.startswith("<blockquote") or any(mark in tag.lower().encode() for mark in MARKS)


@pytest.mark.parametrize(
    "tag",
    [
        "<div>",
        "<div class=quote>",
        "<blockquote>",
        "<div type=cite>",
        "<div id=gmail_quote>",
        f'<blockquote style="{_RULE}">',
    ],
)
def test_other_elements_are_no_history(tag: str) -> None:
    history, here = _read(tag)
    assert (history.start, here) == (None, [False])


def test_what_is_quoted_ends_with_its_element_but_after_outlooks_mark_all_is_history() -> None:
    quoted = "<div class=gmail_quote><div></div></div>"
    assert _read(quoted)[1] == [True, True, True, False]
    assert _read("<div id=appendonsend></div>")[1] == [True, True]


def test_history_in_what_is_inert_is_quoted_and_no_place() -> None:
    history, here = _read("<div class=gmail_quote inert>")
    assert (history.start, here) == (None, [True])
