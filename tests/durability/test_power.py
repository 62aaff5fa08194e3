"""The power fails: whatever the disk has then, what was answered 250 is in it."""

import os
import shutil
from pathlib import Path

import pytest

from tests.durability.power import (
    CONTROL_MAILS,
    CONTROL_STATES,
    Recording,
    let_power_fail,
    record_all,
    told_before_flush,
    window_of,
)
from tests.durability.tamper import CONTROLS

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

MAILS = 1000
LONGEST_WINDOW_S = 0.5
"""Ten times the goal of docs/promises.md: strace, and whatever else a machine does, take theirs."""
STATES = int(os.environ.get("TEST_STATES", "400"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("recorded")
    return record_all(folder, {"": MAILS} | dict.fromkeys(CONTROLS, CONTROL_MAILS))


def test_no_250_is_said_before_the_flush_of_what_holds_the_mail(
    recordings: dict[str, Recording],
) -> None:
    waits_s, early = told_before_flush(recordings[""])
    assert not early
    assert len(waits_s) == MAILS


def test_the_250_follows_the_flush_at_once(recordings: dict[str, Recording]) -> None:
    """A client that goes in between has mail that is delivered, and sends it again."""
    waits_s, _ = told_before_flush(recordings[""])
    print(window_of(waits_s))  # noqa: T201 - the figure, by pytest -s
    assert sorted(waits_s)[len(waits_s) * 99 // 100] < LONGEST_WINDOW_S


def test_whatever_the_disk_has_after_power_loss_every_promise_is_in_it(
    recordings: dict[str, Recording], tmp_path: Path
) -> None:
    states, wrong = let_power_fail(recordings[""], STATES, seed=1, place=tmp_path)
    assert not wrong
    assert states.total() == STATES


@pytest.mark.parametrize("control", CONTROLS)
def test_a_relay_that_does_not_flush_is_noticed(
    recordings: dict[str, Recording], control: str, tmp_path: Path
) -> None:
    states, wrong = let_power_fail(
        recordings[control], CONTROL_STATES, seed=1, place=tmp_path, first_fault_only=True
    )
    assert wrong, f"not within {states.total()} states"
    assert told_before_flush(recordings[control])[1]
