"""The sender of webhooks is killed: each event is told, in order, and none is lost."""

import os
from pathlib import Path

import pytest

from tests.durability.webhooks import kill_senders

pytestmark = pytest.mark.crash

EVENTS = int(os.environ.get("TEST_WEBHOOK_EVENTS", "1000"))
KILLS = int(os.environ.get("TEST_WEBHOOK_KILLS", "3"))
SECONDS = float(os.environ.get("TEST_WEBHOOK_SECONDS", "90"))


async def test_every_event_is_told_in_order_by_senders_that_are_killed(tmp_path: Path) -> None:
    outcome = await kill_senders(tmp_path, EVENTS, KILLS, SECONDS)
    print(outcome)  # noqa: T201 - the figure, by pytest -s
    assert outcome.lost == 0
    assert outcome.receiver.out_of_turn == []
    assert outcome.receiver.unverified == 0
    assert outcome.kills == KILLS
    assert max(outcome.receiver.taken.values()) > 1, "no answer was lost: nothing was tried"
