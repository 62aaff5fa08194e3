"""How a page is drawn."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from collector.console.page import tell_instant, tell_size, tell_utc


def test_instants_are_told_in_utc() -> None:
    at = datetime(2026, 1, 5, 1, 30, 7, tzinfo=timezone(timedelta(hours=2)))
    assert tell_instant(at) == "2026-01-04T23:30:07Z"
    assert tell_utc(at) == "4 Jan 2026, 23:30 UTC"
    assert tell_instant(at.astimezone(UTC)) == tell_instant(at)


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KB"), (1048576, "1.0 MB")],
)
def test_sizes_are_told_as_people_write_them(size: int, told: str) -> None:
    assert tell_size(size) == told
