"""The words of a verdict."""

import pytest

from ledger.mode import TrackingMode
from relay.verdict import OFF, Clicks, Treatment


@pytest.mark.parametrize("clicks", Clicks)
def test_clicks_say_in_which_parts_and_are_made_of_it(clicks: Clicks) -> None:
    assert Clicks.of(html=clicks.html, text=clicks.text) is clicks
    assert clicks.html is ("html" in clicks)
    assert clicks.text is ("text" in clicks)


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("clicks", Clicks)
def test_a_treatment_tracks_where_it_puts_anything_in(opens: bool, clicks: Clicks) -> None:
    treatment = Treatment(TrackingMode.SHARED, opens, clicks)
    assert treatment.tracks is (opens or clicks is not Clicks.NONE)


def test_off_tracks_nothing() -> None:
    assert not OFF.tracks
