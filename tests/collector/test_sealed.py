"""A hit as the spill keeps it."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from collector.sealed import open_hit, seal_hit
from ledger.keys import KeyRing
from ledger.story import RecordedHit
from ledger.token import HitKind, TokenKey

KEY = TokenKey(1, bytes(range(32)))
KEYS = KeyRing({1: KEY}, KEY)
HIT = RecordedHit("H", datetime(2026, 11, 24, tzinfo=UTC), HitKind.CLICK, 7, 1, html=True)
FEATURES = st.dictionaries(st.text(), st.text() | st.lists(st.text()) | st.none())


@given(st.none() | st.text(), FEATURES, st.binary(min_size=16, max_size=16))
def test_law_open_hit_gives_it_back(
    url: str | None, features: dict[str, object], salt: bytes
) -> None:
    """Law: open_hit gives it back."""
    hit = replace(HIT, url=url, features=features)
    assert open_hit(KEYS, seal_hit(KEYS, hit, salt)) == hit


def test_nothing_of_headers_and_destination_is_in_the_clear() -> None:
    hit = replace(HIT, url="https://canary.example/", features={"agent": "Canary/1.0"})
    assert b"anary" not in seal_hit(KEYS, hit, bytes(16)).sealed
