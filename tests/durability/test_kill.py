"""The relay is killed: what was answered 250 arrives, whole, for everybody, and is told once."""

import os
from pathlib import Path

import pytest

from tests.durability.kills import SHORT_KILLS, Tally, kill_for
from tests.durability.points import POINTS
from tests.durability.relays import running_parent

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("TEST_KILLS", SHORT_KILLS))


async def test_every_mail_answered_250_arrives_whole_for_everybody(tmp_path: Path) -> None:
    tally = Tally()
    with running_parent() as parent:
        await kill_for(parent, tmp_path, tally, KILLS, seconds=600)
    print(tally.told())  # noqa: T201 - the figure, by pytest -s
    assert not tally.faults
    assert tally.totals["kills"] == KILLS
    assert tally.totals["promised"] > KILLS, "the clients hardly got through"
    assert not tally.missed, "these points are passed no more; name what took their place"
    assert len(tally.points) == len(POINTS)
