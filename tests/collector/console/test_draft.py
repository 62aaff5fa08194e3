"""A rule as it is filled in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console.draft import FIELDS, kept_rule, read_draft, read_reason, words_of
from config.settings import Rule
from ledger.mode import TrackingMode

FILLED = {"name": "public offices", "recipient": "*@gov.example", "mode": "off", "reason": "asked"}


def test_what_is_filled_in_is_the_rule_and_kept_without_what_it_does_not_say() -> None:
    draft = read_draft({**FILLED, "clicks": "no", "sender": "  "})
    assert draft.faults == {}
    assert draft.rule == Rule(
        name="public offices", recipient="*@gov.example", mode=TrackingMode.OFF, clicks=False
    )
    assert kept_rule(draft.rule) == {"recipient": "*@gov.example", "mode": "off", "clicks": False}
    assert draft.reason == "asked"


@pytest.mark.parametrize(
    ("said", "field", "why"),
    [
        ({"name": " "}, "name", "Give it a name"),
        ({"name": "x" * 101}, "name", "at most 100"),
        ({"name": "a\nb"}, "name", "one line"),
        ({"name": "anna@example.org"}, "name", "without an address"),
        ({"recipient": "no pattern at all @"}, "recipient", "is no pattern"),
        ({"sender": "a@b@c d"}, "sender", "is no pattern"),
        ({"account": "x" * 401}, "account", "at most 400"),
        ({"mode": "some"}, "mode", "Choose"),
        ({"mode": "individual"}, "mode", "narrows nothing"),
        ({"reason": ""}, "reason", "Say why"),
        ({"reason": "x" * 1001}, "reason", "too long"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_lost(
    said: dict[str, str], field: str, why: str
) -> None:
    given_words = {**FILLED, **said}
    draft = read_draft(given_words)
    assert draft.rule is None
    assert list(draft.faults) == [field]
    assert why in draft.faults[field]
    assert {name: draft.words[name] for name in given_words} == {
        name: word.strip() for name, word in given_words.items()
    }


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=30)))
def test_no_form_makes_it_raise(form: dict[str, str]) -> None:
    draft = read_draft(form)
    assert (draft.rule is None) is bool(draft.faults)


@given(
    st.sampled_from(["*@gov.example", "gov.example", ""]),
    st.sampled_from(list(TrackingMode)[:3]),
    st.booleans(),
    st.booleans(),
)
def test_a_kept_rule_makes_a_form_that_makes_the_same_rule(
    pattern: str, mode: TrackingMode, opens: bool, clicks: bool
) -> None:
    # Law: read_draft makes the same rule of it, once a reason is given.
    said: dict[str, Any] = {"recipient": pattern} if pattern else {}
    rule = Rule(name="one", mode=mode, opens=opens, clicks=clicks, **said)
    words = words_of("one", kept_rule(rule))
    assert read_draft({**words, "reason": "why"}).rule == rule


def test_a_reason_is_kept_without_its_edges() -> None:
    assert read_reason("  asked by counsel ") == ("asked by counsel", "")
