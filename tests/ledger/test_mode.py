"""The four modes and their order."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger.mode import TrackingMode, narrowest

MODES = st.lists(st.sampled_from(TrackingMode), min_size=1, max_size=6)


def test_the_modes_widen_from_off_to_individual() -> None:
    assert [str(mode) for mode in sorted(TrackingMode, key=lambda mode: mode.width)] == [
        "off",
        "anonymous",
        "shared",
        "individual",
    ]
    assert [mode.width for mode in TrackingMode] == [0, 1, 2, 3]


@given(MODES, st.randoms())
def test_law_the_order_of_the_arguments_does_not_matter(
    modes: list[TrackingMode], dice: Random
) -> None:
    shuffled = modes.copy()
    dice.shuffle(shuffled)
    assert narrowest(*shuffled) is narrowest(*modes)


@given(MODES, st.sampled_from(TrackingMode))
def test_law_no_further_argument_widens_the_result(
    modes: list[TrackingMode], further: TrackingMode
) -> None:
    assert narrowest(*modes, further).width <= narrowest(*modes).width
    assert narrowest(*modes) in modes
