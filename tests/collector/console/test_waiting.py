from datetime import timedelta
from typing import Any

import pytest

from collector.console.waiting import tell_acted, tell_age, tell_ahead, tell_waiting
from ledger.acts import Result
from ledger.queue import Waiting


def test_every_reason_to_wait_has_a_word() -> None:
    assert len({tell_waiting(why) for why in Waiting}) == len(Waiting)


@pytest.mark.parametrize(
    ("age", "told"),
    [("1h", "1 hour ago"), ("4h", "4 hours ago"), ("1d", "1 day ago"), ("3d", "3 days ago")],
)
def test_an_age_is_told_in_full(age: str, told: str) -> None:
    assert tell_age(age) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-60, "now"), (0, "now"), (1, "in 1 min"), (5940, "in 99 min"), (7200, "in 2 hours")],
)
def test_what_is_ahead_is_told(seconds: int, told: str) -> None:
    assert tell_ahead(timedelta(seconds=seconds)) == told


@pytest.mark.parametrize(
    ("do", "counts", "told"),
    [
        ("", {Result.DONE: 1}, []),
        ("hold", {}, [("Nothing in the queue matches.", False)]),
        ("drop", {Result.DONE: 2}, [("2 mails are dropped.", True)]),
        (
            "bounce",
            {Result.BY_RELAY: 1},
            [("1 mail is dropped, and the relay tells the sender.", True)],
        ),
        (
            "drop",
            {Result.WHEN_ENDED: 2},
            [("2 mails are being sent at this moment; if that fails they are dropped.", True)],
        ),
        (
            "retry",
            {Result.HELD: 2, Result.GONE: 1},
            [
                ("2 mails are held, so not tried: release them first.", False),
                ("1 mail is no longer in the queue.", True),
            ],
        ),
    ],
)
def test_what_came_of_an_action_is_told(do: str, counts: dict[Result, int], told: Any) -> None:
    assert [(one.text, one.good) for one in tell_acted(do, counts)] == told
