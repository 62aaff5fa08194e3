import math
from datetime import UTC, datetime, timedelta

import pytest

from relay.clock import SteadyClock, utc_now

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Hands:
    """Both clocks, as a test sets them."""

    def __init__(self) -> None:
        self.wall, self.ticks = NOW, 100.0

    def pass_s(self, seconds: float, drift: float = 0) -> None:
        self.wall += timedelta(seconds=seconds + drift)
        self.ticks += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock(hands: Hands) -> SteadyClock:
    return SteadyClock(lambda: hands.wall, lambda: hands.ticks)


def test_a_clock_that_runs_is_steady(clock: SteadyClock, hands: Hands) -> None:
    for _ in range(100):
        hands.pass_s(5, drift=0.0025)
        assert clock.now() == hands.wall
    assert (clock.jumps, clock.steady_s) == (0, math.inf)


@pytest.mark.parametrize("drift", [3, -3, 86_400, -315_360_000])
def test_a_clock_that_is_set_is_noticed_at_the_next_look(
    clock: SteadyClock, hands: Hands, drift: float
) -> None:
    hands.pass_s(5, drift)
    assert clock.now() == hands.wall
    assert (clock.jumps, clock.steady_s) == (1, 0)
    hands.pass_s(7)
    clock.now()
    assert (clock.jumps, clock.steady_s) == (1, 7)


def test_a_machine_that_slept_has_had_its_clock_set(clock: SteadyClock, hands: Hands) -> None:
    hands.wall += timedelta(hours=8)  # CLOCK_MONOTONIC stands still meanwhile
    clock.now()
    assert clock.jumps == 1


def test_the_usual_clock_is_utc() -> None:
    assert utc_now().tzinfo is UTC
    assert SteadyClock().now() - utc_now() < timedelta(seconds=1)
