import math
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.retry import (
    RetryTimes,
    Tries,
    count_attempt,
    next_attempt,
    owes_delay_notice,
    retry_until,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("attempts", "jitter", "wait_s"),
    [
        (1, 0, 60),
        (2, 0, 120),
        (3, 0, 240),
        (7, 0, 3600),
        (5000, 0, 3600),
        (1, 1, 45),
        (2, 0.5, 105),
    ],
)
def test_the_wait_doubles_up_to_the_longest(attempts: Any, jitter: Any, wait_s: Any) -> None:
    due_at = next_attempt(RetryTimes(), Tries(attempts, NOW), NOW, jitter)
    assert due_at == NOW + timedelta(seconds=wait_s)


def test_a_mail_that_is_tried_all_the_time_is_given_up_after_its_life() -> None:
    times, now, tries = RetryTimes(), NOW, Tries()
    while True:
        tries = count_attempt(times, tries, now)
        due_at = next_attempt(times, tries, now, 0.5)
        if due_at is None:
            break
        now = due_at
    assert 5 * DAY <= now - NOW < 5 * DAY + HOUR


def test_a_clock_that_jumps_ahead_uses_up_one_wait() -> None:
    tries = Tries(7, NOW, 1000)
    assert count_attempt(RetryTimes(), tries, NOW + 3650 * DAY).waited_s == 1000 + 3600


def test_what_is_tried_before_it_was_due_has_waited_that_long() -> None:
    tries = count_attempt(RetryTimes(), Tries(7, NOW, 1000), NOW + timedelta(seconds=5))
    assert tries == Tries(8, NOW + timedelta(seconds=5), 1005)


def test_a_wait_across_a_jump_counts_from_the_jump_on() -> None:
    tries = count_attempt(RetryTimes(), Tries(7, NOW, 1000), NOW + HOUR, steady_s=30)
    assert tries.waited_s == 1030


def test_a_clock_that_jumps_back_makes_the_next_attempt_no_later() -> None:
    past = NOW - 3650 * DAY
    tries = count_attempt(RetryTimes(), Tries(2, NOW, 60), past)
    assert tries.waited_s == 60
    assert next_attempt(RetryTimes(), tries, past, 0) == past + timedelta(seconds=240)


def test_nothing_is_kept_where_giving_up_is_at_once() -> None:
    times = RetryTimes(give_up_after_s=0)
    assert next_attempt(times, count_attempt(times, Tries(), NOW), NOW, 0) is None


@pytest.mark.parametrize("waits", [(0, 60), (60, 0), (-1, 1)])
def test_waits_that_never_add_up_are_refused(waits: Any) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RetryTimes(*waits)


@pytest.mark.parametrize(
    ("after_s", "passed", "waited_s", "owes"),
    [
        (14_400, timedelta(hours=4), 0, True),
        (14_400, timedelta(hours=3), 0, False),
        (14_400, -DAY, 14_400, True),
        (14_400, -DAY, 0, False),
        (0, 5 * DAY, 0, False),
    ],
)
def test_a_delay_is_told_once_it_is_long_enough(
    after_s: Any, passed: Any, waited_s: Any, owes: Any
) -> None:
    times, tries = RetryTimes(delay_notice_after_s=after_s), Tries(4, NOW, waited_s)
    assert owes_delay_notice(times, tries, NOW + passed, NOW) is owes


def test_the_end_of_a_mail_s_life_is_told_by_what_it_has_waited() -> None:
    times = RetryTimes(give_up_after_s=1000)
    assert retry_until(times, Tries(3, NOW, 400), NOW) == NOW + timedelta(seconds=600)
    assert retry_until(times, Tries(3, NOW, 4000), NOW) == NOW


@given(
    st.integers(1, 10_000),
    st.floats(1, 10_000),
    st.floats(1, 100_000),
    st.floats(0, 1),
    st.floats(0, 9_999),
)
def test_law_of_the_next_attempt(
    attempts: Any, first_s: Any, longest_s: Any, jitter: Any, waited_s: Any
) -> None:
    """Law: the next attempt is never more than `max_after_s` away, nor less than three quarters of
    `first_after_s` or `max_after_s`, whichever is less."""
    times = RetryTimes(first_s, longest_s, give_up_after_s=10_000)
    due_at = next_attempt(times, Tries(attempts, NOW, waited_s), NOW, jitter)
    assert due_at is not None
    wait_s = (due_at - NOW).total_seconds()
    assert min(first_s, longest_s) * 0.75 - 1e-5 <= wait_s <= longest_s + 1e-5


@given(
    st.integers(1, 10_000),
    st.timedeltas(-4000 * DAY, 4000 * DAY),
    st.floats(0, 100_000) | st.just(math.inf),
    st.floats(0, 1e6),
)
def test_law_of_what_has_waited(attempts: Any, since: Any, steady_s: Any, waited_s: Any) -> None:
    """Law: no more is added to `waited_s` than the wait that was due, nor than `steady_s`: neither
    a clock that jumps nor a relay that was down uses up a mail's life."""
    times = RetryTimes()
    tries = count_attempt(times, Tries(attempts, NOW, waited_s), NOW + since, steady_s)
    due_s = min(60 * 2.0 ** min(attempts - 1, 30), 3600)
    added_s = tries.waited_s - waited_s
    assert -1e-6 <= added_s <= min(due_s, steady_s, max(0.0, since.total_seconds())) + 1e-6


def test_200_jumps_of_the_clock_make_no_bounce_early_and_no_mail_wait_too_long() -> None:
    """Time is counted truly beside the clock; due times are heeded as dispatch and tend do it."""
    times, dice = RetryTimes(), Random(20261124)
    true_s, ahead = 0.0, timedelta()
    jumped_s, last_try_s, jumps = -math.inf, 0.0, 0

    def clock() -> datetime:
        return NOW + timedelta(seconds=true_s) + ahead

    tries = count_attempt(times, Tries(), clock())
    due_at = next_attempt(times, tries, clock(), 0.5)
    while due_at is not None:
        true_s += 5
        if jumps < 200 and dice.random() < 0.005:
            ahead += timedelta(days=dice.uniform(-3650, 3650))
            jumped_s, jumps = true_s, jumps + 1
        if due_at > clock() + timedelta(seconds=times.max_after_s):
            due_at = clock()  # tend recalls it
        if due_at <= clock():
            assert true_s - last_try_s <= times.max_after_s + 10, "it was stuck"
            last_try_s = true_s
            tries = count_attempt(times, tries, clock(), true_s - jumped_s)
            due_at = next_attempt(times, tries, clock(), dice.random())
    assert jumps == 200
    assert true_s >= times.give_up_after_s, "it was given up early"
