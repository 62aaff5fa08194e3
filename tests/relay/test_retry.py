from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.retry import RetryTimes, fewest_attempts, next_attempt, owes_delay_notice

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


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
    due_at = next_attempt(RetryTimes(), attempts, NOW, NOW, jitter)
    assert due_at == NOW + timedelta(seconds=wait_s)


def test_a_mail_that_is_tried_all_the_time_is_given_up_after_its_life() -> None:
    times, now, attempts = RetryTimes(), NOW, 0
    while True:
        attempts += 1
        due_at = next_attempt(times, attempts, now, NOW, 0.5)
        if due_at is None:
            break
        now = due_at
    assert 5 * DAY <= now - NOW < 5 * DAY + timedelta(hours=1)
    assert attempts >= fewest_attempts(times)


def test_a_clock_that_jumps_ahead_bounces_nothing() -> None:
    assert next_attempt(RetryTimes(), 3, NOW + 3650 * DAY, NOW, 0) is not None


def test_a_clock_that_jumps_back_makes_the_next_attempt_no_later() -> None:
    past = NOW - 3650 * DAY
    assert next_attempt(RetryTimes(), 3, past, NOW, 0) == past + timedelta(seconds=240)


def test_nothing_is_kept_where_giving_up_is_at_once() -> None:
    assert next_attempt(RetryTimes(give_up_after_s=0), 1, NOW, NOW, 0) is None


@pytest.mark.parametrize("waits", [(0, 60), (60, 0), (-1, 1)])
def test_waits_that_never_add_up_are_refused(waits: Any) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RetryTimes(*waits)


@pytest.mark.parametrize(
    ("after_s", "waited", "owes"),
    [
        (14_400, timedelta(hours=4), True),
        (14_400, timedelta(hours=3), False),
        (14_400, -DAY, False),
        (0, 5 * DAY, False),
    ],
)
def test_a_delay_is_told_once_it_is_long_enough(after_s: Any, waited: Any, owes: Any) -> None:
    assert owes_delay_notice(RetryTimes(delay_notice_after_s=after_s), NOW + waited, NOW) is owes


@given(
    st.integers(1, 10_000),
    st.floats(1, 10_000),
    st.floats(1, 100_000),
    st.floats(0, 1),
    st.timedeltas(-4000 * DAY, 4000 * DAY),
)
def test_law_of_the_next_attempt(
    attempts: Any, first_s: Any, longest_s: Any, jitter: Any, age: Any
) -> None:
    """Law: the next attempt is never more than `max_after_s` away, nor less than three quarters of
    `first_after_s` or `max_after_s`, whichever is less."""
    times = RetryTimes(first_s, longest_s, give_up_after_s=10_000)
    due_at = next_attempt(times, attempts, NOW, NOW - age, jitter)
    if due_at is not None:
        wait_s = (due_at - NOW).total_seconds()
        assert min(first_s, longest_s) * 0.75 - 1e-5 <= wait_s <= longest_s + 1e-5
