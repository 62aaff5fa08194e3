"""The console by keyboard alone, and without script."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from ledger.role import Role
from ledger.sessions import Person
from tests.walked import CHROMIUM, chromium, find_sights, sign_in, start_watched

CONTROLS = """
() => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, iframe, [tabindex='0']"
)].filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled)
  .map((one, number) => { one.dataset.control = number; return one.outerHTML.slice(0, 120); })
"""
FOCUSED = """
() => {
    const one = document.activeElement, drawn = getComputedStyle(one);
    const seen = drawn.outlineStyle !== "none" && parseFloat(drawn.outlineWidth) > 0;
    return [one.dataset.control ?? "", seen || drawn.boxShadow !== "none"];
}
"""

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def reach_all(page: Page) -> None:
    """Open each detail by the keyboard, then reach all there is by Tab."""
    for summary in await page.locator("main summary").all():
        if await summary.is_visible():
            await summary.focus()
            await page.keyboard.press("Enter")
            assert await summary.evaluate("one => one.parentElement.open")
    await page.evaluate("document.activeElement.blur()")
    controls = await page.evaluate(CONTROLS)
    assert len(controls) >= 15
    reached = {}
    for _ in range(2 * len(controls)):  # a frame is left by a second Tab
        await page.keyboard.press("Tab")
        number, seen = await page.evaluate(FOCUSED)
        if number in reached and len(reached) > 1 and number == "0":
            break
        reached[number] = seen
    missed = [html for number, html in enumerate(controls) if str(number) not in reached]
    # In a frame it is the browser that draws the focus, around what has it.
    unseen = [
        html
        for number, html in enumerate(controls)
        if reached.get(str(number)) is False and "<iframe" not in html
    ]
    assert not missed
    assert not unseen


async def test_whatever_a_mouse_does_is_reached_by_tab_and_seen_there(
    console: Any, browser: Browser, seed_demo: Any, put_in_queue: Any
) -> None:
    await seed_demo(console)
    await put_in_queue(console.stores.spool, 77)
    faults: list[str] = []
    context = await start_watched(console, browser, faults)
    page = await context.new_page()
    await sign_in(console, page, Person("otto@example.com", Role.ADMIN))
    for address in ("/", "/policy/rule", "/people", "/queue", "/captured/1001"):
        await page.goto(console.base + address)
        await reach_all(page)
    await context.close()
    assert not faults


async def test_every_page_says_the_same_without_script(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    better = {"send_id": await seed_demo(console)}
    person = Person("otto@example.com", Role.ADMIN)
    sights = await find_sights(console, await console.signed_in(person), better, 200)
    told: list[dict[str, list[str]]] = []
    for scripted in (True, False):
        context = await browser.new_context(java_script_enabled=scripted, locale="en-GB")
        page = await context.new_page()
        await sign_in(console, page, person)
        said = {}
        for sight in sights:
            await page.goto(console.base + sight.address)
            parts = page.locator("main :is(h1, h2, h3, label, summary, button, dt)")
            said[sight.address] = await parts.all_text_contents()
            assert await page.locator("main h1").is_visible(), sight.address
        told.append(said)
        await context.close()
    assert told[0] == told[1]
