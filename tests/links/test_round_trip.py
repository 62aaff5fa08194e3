"""The short form of the round trip: its script says 0 differ, and could say otherwise."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("round_trip.py")


def test_tracked_links_lead_where_the_links_in_the_mail_led() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "10000"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["differ"] == 0
    assert told["tracked"] > 6000  # it does not pass by leaving links alone


@pytest.fixture
def round_trip(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("round_trip", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "round_trip", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("escape_value", str.encode),  # Postal's `&amp;`, broken for three years
        ("write_token", lambda *_: b"A" * 36),
    ],
)
def test_the_round_trip_can_see_a_link_that_leads_elsewhere(
    round_trip: Any, monkeypatch: pytest.MonkeyPatch, name: str, broken: Any
) -> None:
    batch = [link for link in round_trip.links(400, 3) if link.target and link.quote == '"'][:99]
    assert round_trip.compare(batch, slowly=True) == []
    monkeypatch.setattr(round_trip, name, broken)
    with pytest.raises(AssertionError):
        assert round_trip.compare(batch, slowly=False) == []
