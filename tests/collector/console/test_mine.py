"""The page of one's own browsers, as each role sees it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from collector.mine import LINK_LASTS, Purpose, is_good
from ledger.keys import load_keys
from ledger.role import Role
from ledger.sessions import Person


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_who_has_signed_in_gets_a_link_of_each_tracking_host(
    console: Any, role: Role
) -> None:
    person = await console.signed_in(Person("ann@acme.example", role))
    status, page, _ = await person.get("/mine")
    (link,) = re.findall(r'href="(http://[^"]+/mine/[^"]+)"', page)
    assert (status, link.rpartition("/")[0]) == (200, f"{console.settings.tracking.base_url}/mine")
    now, code = datetime.now(UTC), link.rpartition("/")[2].encode()
    keys = load_keys(console.settings.keys_dir).keys
    assert is_good(keys, Purpose.LINK, code, now)
    assert not is_good(keys, Purpose.LINK, code, now + LINK_LASTS)
    assert 'href="/mine"' in page


async def test_a_stranger_gets_no_link(console: Any) -> None:
    stranger = await console.stranger()
    status, page, headers = await stranger.get("/mine")
    assert (status, "/mine/" in page) in {(303, False), (401, False)}, headers
