"""How much of a reader's address reaches the disk, from the socket to the raw files."""

from typing import Any

import pytest

from ledger import schema

V4, V6 = "203.0.113.77", "2001:db8:77:8899:aabb:ccdd:1122:3344"


@pytest.mark.parametrize(
    ("keep", "shown"),
    [
        ("none", [None, None]),
        ("truncated", ["203.0.113.0", "2001:db8:77::"]),
        ("full", [V4, V6]),
    ],
)
async def test_no_more_is_kept_than_was_said(
    house: Any, serve: Any, keep: str, shown: list[str | None]
) -> None:
    await house.send(7, links={1: "https://example.net/"})
    settings = {
        "collector": {"trusted_proxies": ["127.0.0.0/8"]},
        "privacy": {"keep_network": keep},
    }
    async with serve(house, **settings):
        await house.ask(house.pixel(7), {"X-Forwarded-For": V4, "User-Agent": "one"})
        await house.events_when(1)
        click = house.link(7, 1, "https://example.net/")
        await house.ask(click, {"X-Forwarded-For": V6, "User-Agent": "two"})
        events = await house.events_when(2)
        rows = await house.rows(schema.hits)
    assert [event.ip_address for event in events[:2]] == shown
    assert [row.features["ip_address"] for row in rows] == shown
    state = house.settings.server.state_dir
    held = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file())
    for address in (V4, V6):
        assert (address.encode() in held) == (keep == "full")
    assert (b"203.0.113" in held) == (keep != "none")
