from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.console.throttle import (
    _MAX_NAMES,
    FORGET_AFTER_S,
    FREE_TRIES,
    LONGEST_WAIT_S,
    Throttle,
)


def passed(throttle: Throttle, name: str, moments: list[float]) -> list[float]:
    """Return at which moments a try was let through; all of them fail."""
    let = []
    for now in moments:
        if throttle.wait_s(name, now) == 0:
            throttle.count(name, now)
            let.append(now)
    return let


@given(st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_however_tries_are_spread_fewer_than_ten_a_minute_are_let_through(
    pauses: list[float],
) -> None:
    # Law: in any minute fewer than ten tries of one name are let through, and one a minute later
    # on.
    moments, now = [], 1000.0
    for pause in pauses:
        now += pause
        moments.append(now)
    let = passed(Throttle(), "anna", moments)
    assert let[:FREE_TRIES] == moments[:FREE_TRIES]
    for begin in let:
        assert len([at for at in let if begin <= at < begin + 60]) < 10
    later = let[FREE_TRIES + 7 :]
    assert all(after - before >= LONGEST_WAIT_S for before, after in pairwise(later))


def test_who_knocks_without_pause_for_an_hour_has_a_try_a_minute() -> None:
    let = passed(Throttle(), "anna", [tenth / 10 for tenth in range(36_000)])
    assert 60 <= len(let) <= 70


def test_names_are_counted_apart_and_success_forgets() -> None:
    throttle = Throttle()
    for _ in range(FREE_TRIES + 2):
        throttle.count("anna", 0.0)
    assert throttle.wait_s("anna", 0.0) == 4.0
    assert throttle.wait_s("anna", 1.0) == 3.0
    assert throttle.wait_s("bob", 0.0) == 0.0
    throttle.uncount("anna")
    assert throttle.wait_s("anna", 0.0) == 2.0
    throttle.forgive("anna")
    assert throttle.wait_s("anna", 0.0) == 0.0
    throttle.uncount("nobody")
    throttle.delay_from("nobody", 0.0)
    assert throttle.wait_s("nobody", 0.0) == 0.0


def test_the_wait_begins_when_the_failure_is_known() -> None:
    throttle = Throttle()
    for _ in range(FREE_TRIES):
        throttle.count("anna", 0.0)
    throttle.delay_from("anna", 5.0)
    assert throttle.wait_s("anna", 5.0) == 1.0


def test_failures_are_forgotten_after_an_hour_without_any() -> None:
    throttle = Throttle()
    for _ in range(100):
        throttle.count("anna", 0.0)
    assert throttle.wait_s("anna", 1.0) == LONGEST_WAIT_S - 1
    throttle.count("anna", FORGET_AFTER_S + 1)
    assert throttle.wait_s("anna", FORGET_AFTER_S + 1) == 0.0


def test_names_without_end_take_no_memory_without_end() -> None:
    throttle = Throttle()
    for number in range(_MAX_NAMES + 10):
        throttle.count(str(number), 0.0)
    assert len(throttle._failures) == _MAX_NAMES
