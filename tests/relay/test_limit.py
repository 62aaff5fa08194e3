"""What narrows, and which of it decides."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.mode import TrackingMode
from relay.limit import Limit, narrow, values
from relay.verdict import OFF, Because, Clicks, Treatment

LIMITS = st.lists(
    st.builds(
        Limit,
        st.sampled_from(Because),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(TrackingMode),
        st.booleans(),
        st.sampled_from(Clicks),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
BASE = Limit(Because.CEILING, "")


@given(LIMITS, LIMITS)
def test_law_no_further_limit_widens_the_treatment(limits: list[Limit], more: list[Limit]) -> None:
    before, _ = narrow(limits)
    after, _ = narrow([*limits, *more])
    assert after.mode.width <= before.mode.width
    assert after.opens <= before.opens
    assert after.clicks.html <= before.clicks.html
    assert after.clicks.text <= before.clicks.text


@given(LIMITS, st.randoms(use_true_random=False))
def test_law_the_order_of_the_limits_does_not_matter_to_the_reasons_neither(
    limits: list[Limit], dice: Random
) -> None:
    shuffled = limits.copy()
    dice.shuffle(shuffled)
    assert narrow(shuffled) == narrow(limits)


@given(LIMITS)
def test_each_reason_names_a_limit_and_says_what_the_treatment_is(limits: list[Limit]) -> None:
    treatment, reasons = narrow(limits)
    assert {reason.of: reason.value for reason in reasons} == values(treatment)
    sources = {limit.source(of) for limit in limits for of in ("mode", "opens", "clicks")}
    assert {(reason.because, reason.name) for reason in reasons} <= sources


@pytest.mark.parametrize(
    ("limit", "treatment"),
    [
        (BASE, Treatment(TrackingMode.INDIVIDUAL, opens=True, clicks=Clicks.BOTH)),
        (Limit(Because.RULE, "a", mode=TrackingMode.OFF), OFF),
        (Limit(Because.RULE, "a", opens=False, clicks=Clicks.NONE), OFF),
        (
            Limit(Because.RULE, "a", opens=False),
            Treatment(TrackingMode.INDIVIDUAL, opens=False, clicks=Clicks.BOTH),
        ),
    ],
)
def test_opens_and_clicks_both_off_is_off_and_off_is_neither(
    limit: Limit, treatment: Treatment
) -> None:
    assert narrow([BASE, limit])[0] == treatment


def test_a_default_is_named_only_where_no_other_narrows_as_far() -> None:
    default = Limit(Because.CEILING, "text_clicks", clicks=Clicks.HTML, default=True)
    header = Limit(Because.HEADER, "X", clicks=Clicks.HTML)
    assert narrow([BASE, default])[1][2].name == "text_clicks"
    assert narrow([BASE, default, header])[1][2].name == "X"


def test_the_source_that_took_the_last_is_named_for_mode_off() -> None:
    opens = Limit(Because.HEADER, "X", opens=False)
    clicks = Limit(Because.RULE, "a", clicks=Clicks.NONE)
    assert narrow([BASE, opens, clicks])[1][0].name == "X"
    opens = Limit(Because.RULE, "a", opens=False)
    clicks = Limit(Because.HEADER, "X", clicks=Clicks.NONE)
    assert narrow([BASE, opens, clicks])[1][0].name == "X"
