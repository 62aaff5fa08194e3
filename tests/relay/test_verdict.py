"""The words of a verdict, and where each reason is told, shown and tested."""

import re
from pathlib import Path

import pytest

from collector.console.wording import tell_passed
from ledger.mode import TrackingMode
from relay.verdict import OFF, Clicks, PassReason, Treatment

_TESTS = Path(__file__).parents[1]
_REASONS = _TESTS.parent / "docs" / "reasons.md"
_UNITS = {
    PassReason.OUR_FAULT: (
        "test_intake.py",
        "test_law_whatever_a_stage_raises_the_message_goes_out_as_it_came",
    ),
    PassReason.AMBIGUOUS_TEXT: ("test_plain.py", "test_what_is_left_alone_says_why"),
    PassReason.OPENS_OFF: ("test_explain.py", "test_of_two_html_parts_the_last_has_the_pixel"),
    PassReason.MODE_OFF: (
        "test_explain.py",
        "test_who_was_off_already_keeps_the_reasons_of_the_policy",
    ),
}
"""The reasons that `case.toml` does not name: no message shows a fault, the last are explain's."""


@pytest.mark.parametrize("clicks", Clicks)
def test_clicks_say_in_which_parts_and_are_made_of_it(clicks: Clicks) -> None:
    assert Clicks.of(html=clicks.html, text=clicks.text) is clicks
    assert clicks.html is ("html" in clicks)
    assert clicks.text is ("text" in clicks)


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("clicks", Clicks)
def test_a_treatment_tracks_where_it_puts_anything_in(opens: bool, clicks: Clicks) -> None:
    treatment = Treatment(TrackingMode.SHARED, opens, clicks)
    assert treatment.tracks is (opens or clicks is not Clicks.NONE)


def test_off_tracks_nothing() -> None:
    assert not OFF.tracks


def test_the_documentation_tells_each_reason_in_the_words_of_the_console_and_no_other() -> None:
    text = _REASONS.read_text("utf-8").partition("## How often")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.*?)\|$", text, re.MULTILINE)
    assert [code for code, *_ in rows] == [reason.value for reason in PassReason]
    assert [words for _, words, *_ in rows] == [tell_passed(reason) for reason in PassReason]


@pytest.mark.parametrize("reason", PassReason)
def test_each_reason_is_shown_by_a_golden_case_or_a_unit_test(reason: PassReason) -> None:
    cases = (_TESTS / "golden").glob("*/case.toml")
    shown = any(f'"{reason}"' in case.read_text("utf-8") for case in cases)
    assert shown or reason in _UNITS
    if reason in _UNITS:
        file, name = _UNITS[reason]
        code = (_TESTS / "relay" / file).read_text("utf-8")
        assert re.search(rf"^(?:async )?def {name}\(", code, re.MULTILINE), "no such test"
