"""Every page of the router's own table, in every role and shape, looked through in Chromium."""

import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from ledger.audit import OPERATOR, Author
from ledger.people import set_disabled
from ledger.role import Role
from ledger.sessions import Person
from tests.walked import CHROMIUM, Sight, chromium, find_doors, find_sights, sign_in, start_watched

AXE = Path(sys.prefix) / "axe/node_modules/axe-core/axe.min.js"
LATER = datetime.now(UTC) + timedelta(hours=1)
SELLER = "sales@acme.example"
WIDE, NARROW = 1280, 360
SHAPES = [(width, scheme) for scheme in ("light", "dark") for width in (WIDE, NARROW)]
PAPER = {"light": "rgb(246, 245, 242)", "dark": "rgb(20, 23, 27)"}
FEWEST = {Role.ADMIN: 20, Role.AUDITOR: 10, Role.USER: 5, None: 15}
"""Fewer pages than there were when this was written: the walk itself is broken."""
FOLDER = os.environ.get("TEST_SCREENSHOTS")
"""For the pictures of docs; without it none is taken."""
PICTURED = {
    "/messages/{send_id}": "message",
    "/queue": "queue",
    "/policy": "policy",
    "/consent": "consent",
    "/recipients/{address}": "recipient",
    "/audit": "audit",
}

LOOK_THROUGH = """
async () => {
    const found = await axe.run(document, {iframes: false, resultTypes: ["violations"]});
    return found.violations
        .filter(one => ["serious", "critical"].includes(one.impact))
        .map(one => [one.id, one.nodes.map(node => node.html.slice(0, 160))]);
}
"""
pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not installed: tests/install-axe (needs npm)"
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def look_at(page: Page, sight: Sight, who: str) -> list[str]:
    """Return what is wrong with the page that stands there, in any shape."""
    faults = []
    for summary in await page.locator("main summary").all():
        if await summary.is_visible():
            await summary.click()
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    for width, scheme in SHAPES:
        here = f"{who} {sight.address} {width} {scheme}"
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of SHAPES
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append(f"{here}: is {wide} wide")
        paper = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        if paper != PAPER[scheme]:
            faults.append(f"{here}: is on {paper}")
        faults += [f"{here}: {one}" for one in await page.evaluate(LOOK_THROUGH)]
    return faults


async def take_picture(page: Page, name: str) -> None:
    """Keep what the page looks like wide and light."""
    await page.set_viewport_size({"width": 1100, "height": 760})
    await page.emulate_media(color_scheme="light")
    await page.screenshot(path=Path(str(FOLDER)) / f"{name}.png")


@needs_axe
@pytest.mark.parametrize("role", [*Role, None], ids=lambda role: role.value if role else "nobody")
async def test_every_page_is_for_everybody_has_no_fault_and_asks_no_other_host(
    console: Any, browser: Browser, seed_demo: Any, put_in_queue: Any, role: Role | None
) -> None:
    better = {"send_id": await seed_demo(console)}
    await put_in_queue(console.stores.spool, 77, attempts=2, reply="451 4.7.1 later", due_at=LATER)
    faults: list[str] = []
    context = await start_watched(console, browser, faults)
    page = await context.new_page()
    if role is None:
        sights = await find_doors(console, await console.stranger(), better)
    else:
        person = Person("otto@example.com", role)
        if role is Role.USER:  # he has sent what is to be seen
            person = Person(SELLER, role, SELLER)
            author = Author(OPERATOR, datetime.now(UTC), bytes(32))
            await set_disabled(console.stores.ledger, SELLER, False, author)
        client = await console.signed_in(person)
        sights = await find_sights(console, client, better, 200, 422)
        if role is not Role.ADMIN:  # its states are drawn from the same
            sights = [sight for sight in sights if "?" not in sight.address]
        sights += (await find_sights(console, client, better, 403))[:1]
        await sign_in(console, page, person)
    for sight in sights:
        await page.goto(console.base + sight.address)
        if role is None and not page.url.startswith(f"{console.base}/login"):
            faults.append(f"a stranger sees {sight.address}")
        if role is None and sight.route not in ("/", "/login"):
            continue  # the same door
        if FOLDER and role is Role.ADMIN and "?" not in sight.address and sight.route in PICTURED:
            await take_picture(page, PICTURED[sight.route])
        faults += await look_at(page, sight, role.value if role else "nobody")
    await context.close()
    assert not faults, "\n".join(faults)
    assert len(sights) >= FEWEST[role]
