"""The console in a real browser."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from ledger.event import EventType

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HERE = ("data:", "blob:", "about:")

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()


@asynccontextmanager
async def visit(console: Any, browser: Browser, **options: Any) -> AsyncIterator[tuple[Page, Any]]:
    """Give a page that is signed in; afterwards it must have had no fault and no other host."""
    context = await browser.new_context(**options)
    faults: list[str] = []
    watch_faults(context, console.base, faults)
    page = await context.new_page()
    await page.goto(f"{console.base}/login?code={await console.link_code()}")
    await page.get_by_role("button").first.click()
    await page.wait_for_url(f"{console.base}/")
    yield page, context
    await context.close()
    assert faults == []


def watch_faults(context: BrowserContext, base: str, faults: list[str]) -> None:
    def look(asked: Any) -> None:
        if not asked.url.startswith((base, *HERE)):
            faults.append(f"asked {asked.url}")

    def hear(message: Any) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"{message.type}: {message.text}")

    context.on("request", look)
    context.on("console", hear)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))


async def test_the_first_mail_comes_to_a_page_that_is_open(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    async with visit(console, browser) as (page, _):
        assert await page.get_by_text("Nothing has happened yet").is_visible()
        await page.get_by_text("Live", exact=True).wait_for()
        await seed_demo(console)
        await page.get_by_text("Nobody has opened").or_(page.get_by_text("Not tracked")).wait_for()


async def test_what_happens_is_seen_within_a_second_and_nothing_that_is_open_closes(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    async with visit(console, browser) as (page, _):
        send_id = await seed_demo(console)
        await page.get_by_text("Not counted, by programs").click()
        await page.get_by_text("several links of this mail").first.wait_for(state="attached")
        folded = page.locator(f"#machines-{send_id}")
        assert await folded.get_attribute("open") is not None
        took = []
        for number in range(3):
            began = time.monotonic()
            person = f"reader{number}@example.org"
            await console.record(
                console.event(
                    EventType.OPENED,
                    send_id=send_id,
                    subject="Our offer for 2027",
                    recipient=person,
                )
            )
            await page.get_by_role("heading", name=person).wait_for(timeout=2000)
            took.append(time.monotonic() - began)
        assert sorted(took)[1] < 1.0, took
        assert await folded.get_attribute("open") is not None
        assert await page.locator("article.fresh").count() == 1
        told = await page.get_by_role("status").text_content()
        assert told is not None
        assert told.startswith("New: reader2@example.org")


async def test_scripts_that_come_late_do_not_keep_a_page_from_being_live(
    console: Any, browser: Browser
) -> None:
    async def late(route: Any) -> None:
        await asyncio.sleep(0.3)
        await route.continue_()

    async with visit(console, browser) as (page, context):
        await context.route("**/hx-sse.min.js", late)
        await page.reload()
        await page.get_by_text("Live", exact=True).wait_for(timeout=5000)


async def test_a_message_page_is_live_too(console: Any, browser: Browser, explain: Any) -> None:
    send_id = await console.send([explain("bob@example.org", 1)])
    async with visit(console, browser) as (page, _):
        await page.goto(f"{console.base}/messages/{send_id}")
        await page.locator("#live[data-state=on]").wait_for()
        await console.record(console.event(EventType.CLICKED, send_id=send_id))
        await page.get_by_text("1 click").wait_for(timeout=2000)


async def test_instants_are_told_in_the_readers_zone(
    console: Any, browser: Browser, explain: Any
) -> None:
    send_id = await console.send([explain("bob@example.org", 1)])
    options = {"timezone_id": "Asia/Kolkata", "locale": "en-GB"}
    async with visit(console, browser, **options) as (page, _):
        await page.goto(f"{console.base}/messages/{send_id}")
        shown = page.locator("time").first
        text, at = await shown.text_content(), await shown.get_attribute("datetime")
        assert text is not None
        expected = await page.evaluate(
            "at => new Date(at).toLocaleTimeString('en-GB', {timeZone: 'Asia/Kolkata'})", at
        )
        assert expected in text
        assert "GMT+5:30" in (await shown.get_attribute("title") or "")


async def test_everything_can_be_read_without_script(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    send_id = await seed_demo(console)
    async with visit(console, browser, java_script_enabled=False) as (page, _):
        await page.get_by_text("very likely a person · provisional").first.click()
        assert await page.get_by_text("a preferred language is given").first.is_visible()
        assert await page.get_by_text("UTC").first.is_visible()
        assert await page.get_by_text("Load again for news").is_visible()
        await page.get_by_role("link", name="Our offer for 2027").first.click()
        await page.wait_for_url(f"{console.base}/messages/{send_id}")
        await page.get_by_role("link", name="Captured mail", exact=True).click()
        await page.locator("a[href='/captured/1001']").click()
        frame = page.frame_locator("iframe")
        assert await frame.get_by_text("Dear Bob").is_visible()
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url(f"{console.base}/login")


async def test_the_keyboard_is_enough(console: Any, browser: Browser, seed_demo: Any) -> None:
    await seed_demo(console)
    async with visit(console, browser) as (page, _):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        focused = "document.activeElement"
        assert "not tracked" in await page.evaluate(f"{focused}.textContent")
        await page.keyboard.press("Tab")
        assert await page.evaluate(f"{focused}.textContent") == "Our offer for 2027"
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await page.evaluate(f"{focused}.tagName") == "SUMMARY"
        assert await page.evaluate(f"{focused}.parentElement.open")


async def test_every_control_has_a_name_and_every_page_one_first_heading(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    send_id = await seed_demo(console)
    async with visit(console, browser) as (page, _):
        for path in (
            "/",
            "/messages",
            "/log",
            "/log?subject=offer&type=opened",
            "/log?sender=nobody@example.org",
            "/stats?days=30",
            f"/messages/{send_id}",
            "/captured",
            "/captured/1001",
            "/policy",
            "/policy/rule?name=public%20offices",
            "/consent?about=carol.fitzgerald@example.org",
            "/recipients/bob@example.org",
        ):
            await page.goto(console.base + path)
            assert await page.locator("h1").count() == 1, path
            assert await page.locator("main").count() == 1
            tree = await page.locator("body").aria_snapshot()
            # A frame's name is its title, which this tree does not show.
            assert await page.locator("iframe:not([title])").count() == 0
            for role in ("link", "button", "heading"):
                assert f"- {role}\n" not in tree, (path, role)
            ids = await page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
            assert len(ids) == len(set(ids)), path


async def test_a_captured_copy_is_read_as_its_recipient_would(
    console: Any, browser: Browser, captured_copy: Any, mail: Any
) -> None:
    asked: list[tuple[str, Any]] = []
    both = asyncio.Event()

    async def hear(request: web.Request) -> web.Response:
        asked.append((request.path_qs, request.headers))
        if len(asked) > 1:
            both.set()
        return web.Response(text="seen")

    runner = web.ServerRunner(web.Server(hear))  # type: ignore[arg-type] # a handler of requests
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there = f"http://127.0.0.1:{runner.addresses[0][1]}"
    pixel = f'<img src="{there}/o/token.gif" width="1" height="1" alt="">'
    raw = mail("bob@example.org", pixel, f"{there}/c/token/offer?a=1")
    await console.capture(captured_copy(7, "0" * 26, ("to", "bob@example.org"), raw=raw))
    # Its images come from elsewhere, on purpose: this context is not watched.
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{console.base}/login?code={await console.link_code()}")
    await page.get_by_role("button").first.click()
    await page.wait_for_url(f"{console.base}/")
    await page.goto(f"{console.base}/captured/7")
    frame = page.frame_locator("iframe")
    logo = frame.get_by_alt_text("Acme")
    assert await logo.evaluate("image => image.complete && image.naturalWidth") == 96
    async with context.expect_page() as opening:
        await frame.get_by_role("link").click()
    opened = await opening.value
    await opened.wait_for_url(f"{there}/**")
    async with asyncio.timeout(5):
        await both.wait()
    await context.close()
    await runner.cleanup()
    assert [path for path, _ in asked[:2]] == ["/o/token.gif", "/c/token/offer?a=1"]
    assert all("Referer" not in headers for _, headers in asked[:2])
    # What the mail loads is not the console's: its frame has an origin of its own.
    assert "Cookie" not in asked[0][1]


HOSTILE = (
    "<script>alert('script')</script><img src=x onerror=alert('onerror')>"
    "<svg onload=alert('svg')></svg><iframe srcdoc='<script>alert(1)</script>'></iframe>"
    "<meta http-equiv=refresh content='0;url=/messages'>"
    "<form action=/logout method=post><button>Continue</button></form>"
    "<a href=javascript:alert('link')>first</a> <a href='/messages' target=_top>second</a>"
)


async def test_a_hostile_captured_mail_runs_nothing(
    console: Any, browser: Browser, captured_copy: Any
) -> None:
    raw = b"Content-Type: text/html\r\n\r\n" + HOSTILE.encode()
    await console.capture(captured_copy(7, "0" * 26, ("to", "bob@example.org"), raw=raw))
    context = await browser.new_context()
    dialogs: list[str] = []
    context.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page = await context.new_page()
    await page.goto(f"{console.base}/login?code={await console.link_code()}")
    await page.get_by_role("button").first.click()
    await page.wait_for_url(f"{console.base}/")
    for path in ("/captured/7", "/captured/7/body"):
        await page.goto(console.base + path, wait_until="networkidle")
        inside: Any = page.frame_locator("iframe").first if path == "/captured/7" else page
        await inside.get_by_role("button", name="Continue").click()
        await inside.get_by_text("first", exact=True).click()
        assert page.url == console.base + path
    await page.goto(f"{console.base}/messages")
    assert await page.get_by_role("button", name="Sign out").is_visible()
    await context.close()
    assert dialogs == []


async def test_a_person_is_added_signs_in_by_password_and_is_shut_out(
    console: Any, browser: Browser
) -> None:
    word = "correct horse battery"
    async with visit(console, browser) as (page, _):
        await page.get_by_role("link", name="People").click()
        await page.get_by_label("Address", exact=True).fill("anna@acme.example")
        await page.locator("article.add input[name=password]").fill(word)
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.get_by_text("Added.").wait_for()
        context = await browser.new_context()
        other = await context.new_page()
        await other.goto(f"{console.base}/messages")
        await other.get_by_label("Address").fill("Anna@acme.example")
        await other.get_by_label("Password").fill(word)
        await other.get_by_role("button", name="Sign in").click()
        await other.wait_for_url(f"{console.base}/messages")
        assert await other.get_by_role("link", name="People").count() == 0
        await page.get_by_text("anna@acme.example").click()
        await page.get_by_role("button", name="Disable").click()
        await page.get_by_text("Disabled, and signed out.").wait_for()
        await other.reload()
        await other.get_by_role("button", name="Sign in").wait_for()
        await context.close()


async def test_a_rule_is_tried_and_saved_and_tracking_switched_off_and_on(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    await seed_demo(console)
    async with visit(console, browser) as (page, _):
        await page.get_by_role("link", name="Policy", exact=True).click()
        await page.get_by_role("button", name="Add a rule").click()
        await page.locator("input[name=name]").fill("nonprofits")
        await page.get_by_label("To", exact=True).fill("*@example.org")
        await page.get_by_label("At most").select_option("anonymous")
        await page.get_by_label("Why").fill("agreed with the works council")
        await page.get_by_role("button", name="See what it would have changed").click()
        shown = page.locator("#rehearsal")
        await shown.get_by_text("would have been treated otherwise").wait_for()
        assert await shown.get_by_text("anonymous instead of by name").count() >= 1
        assert await shown.get_by_text("anonymous instead of shared").count() >= 1
        await page.get_by_role("button", name="Save the rule").click()
        await page.get_by_text("The rule is saved.").wait_for()
        await page.get_by_label("Why").fill("incident")
        await page.get_by_role("button", name="Switch tracking off for everybody").click()
        await page.get_by_role("heading", name="Tracking is off for everybody").wait_for()
        await page.get_by_label("Why").fill("it is over")
        await page.get_by_role("button", name="Switch tracking on again").click()
        await page.get_by_role("heading", name="Tracking is on").wait_for()


async def test_a_consent_is_recorded_and_leads_to_the_recipient(
    console: Any, browser: Browser, seed_demo: Any
) -> None:
    await seed_demo(console)
    async with visit(console, browser) as (page, _):
        await page.get_by_role("link", name="Consent", exact=True).click()
        await page.get_by_label("Address or domain").fill("bob@example.org")
        await page.get_by_role("button", name="Look up").click()
        await page.get_by_label("Consent is").select_option("denied")
        await page.get_by_label("Told").select_option("spoken")
        await page.get_by_role("button", name="Record").click()
        await page.get_by_text("Recorded.").wait_for()
        await page.get_by_role("link", name="Mail to this address").click()
        await page.wait_for_url("**/recipients/bob%40example.org")
        assert await page.get_by_text("denied", exact=True).is_visible()
