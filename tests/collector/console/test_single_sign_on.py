"""The whole way through a certified OpenID provider, in Chromium."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route

from ledger.people import find_account
from ledger.role import Role
from tests.ports import free_port
from tests.walked import CHROMIUM, TELL_VIOLATIONS, chromium

HERE = Path(__file__).parent
FOLDER = Path(sys.prefix) / "oidc-provider"
SECRET = "a secret: 100% of it + more"

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules/oidc-provider").exists(),
        reason="oidc-provider is not installed: tests/install-oidc-provider (needs npm)",
    ),
]


@asynccontextmanager
async def serve_provider(redirect_uri: str) -> AsyncIterator[str]:
    """Run the provider while the block runs; give its issuer."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / "provider.mjs"),
        str(FOLDER),
        redirect_uri,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            issuer = b""
            while not issuer.startswith(b"http"):  # it warns of its own test pages first
                issuer = await process.stdout.readline()
                assert issuer, await process.communicate()
        yield issuer.decode().strip()
    finally:
        process.kill()
        await process.communicate()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def console(start_console: Any, tmp_path: Path) -> AsyncIterator[Any]:
    port = free_port()
    secret = tmp_path / "oidc.secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    async with serve_provider(f"http://127.0.0.1:{port}/login/callback") as issuer:
        yield await start_console(
            listen=[f"127.0.0.1:{port}"],
            public_url=f"http://127.0.0.1:{port}",
            oidc={
                "issuer": issuer,
                "client_id": "indicia",
                "client_secret_file": str(secret),
                "name": "Example Staff",
                "domains": ["example.com"],
                "admin_groups": ["indicia-admins"],
                "user_groups": ["staff"],
                "create": True,
            },
        )


async def stay_here(route: Route) -> None:
    """Let nothing leave the machine: the provider's test pages want a font of somebody's."""
    if re.match(r"http://(127\.0\.0\.1|localhost)[:/]", route.request.url):
        await route.continue_()
    else:
        await route.abort()


async def start(browser: Browser, console: Any, faults: list[str]) -> Page:
    context = await browser.new_context()
    await context.route("**", stay_here)
    await context.add_init_script(TELL_VIOLATIONS)
    context.on(
        "console",
        lambda said: (
            faults.append(said.text)
            if said.type == "error" and said.page and said.page.url.startswith(console.base)
            else None
        ),
    )
    return await context.new_page()


async def go_there(page: Page, console: Any, asked: str) -> None:
    """Ask for a page and press our button; wait first where others were refused too often."""
    refused = page.get_by_role("alert")
    while True:
        await page.goto(console.base + asked)
        await page.get_by_role("button", name="Sign in with Example Staff").click()
        await page.locator("input[name=login]").or_(refused).first.wait_for()
        if not await refused.count():
            return
        wait = re.search(r"Too many tries\. Wait (\d+) second", await refused.inner_text())
        assert wait is not None
        await page.wait_for_timeout(int(wait[1]) * 1000)


async def sign_in_there(page: Page, console: Any, name: str) -> None:
    """Press our button, then sign in and agree at the provider."""
    await go_there(page, console, "/audit")
    await page.locator("input[name=login]").fill(name)
    await page.locator("input[name=password]").fill("anything")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url(f"{console.base}/**")


async def test_people_of_a_real_provider_come_in_and_others_do_not(
    console: Any, browser: Browser
) -> None:
    faults: list[str] = []
    page = await start(browser, console, faults)
    ways_back: list[str] = []
    page.on(
        "request", lambda asked: ways_back.append(asked.url) if "/callback?" in asked.url else None
    )
    await sign_in_there(page, console, "anna")
    assert page.url == f"{console.base}/audit"
    assert await page.get_by_title("anna@example.com, admin").is_visible()
    made = await find_account(console.stores.ledger, "anna@example.com")
    assert (made.role, made.password_hash) == (Role.ADMIN, None)
    names = {cookie["name"]: cookie for cookie in await page.context.cookies(console.base)}
    assert names["indicia"]["httpOnly"]
    assert "indicia-ticket" not in names

    # Back to where the browser came from: the ticket is used up.
    await page.goto(ways_back[0])
    assert "was not begun in this browser" in await page.get_by_role("alert").inner_text()

    await page.goto(f"{console.base}/")
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(f"{console.base}/login")
    await page.goto(f"{console.base}/audit")
    assert page.url.startswith(f"{console.base}/login?next=")
    await page.context.close()

    for name, told in (
        ("mallory", "does not say that your mail address is verified"),
        ("carol", "not among those let in here"),
    ):
        page = await start(browser, console, faults)
        await sign_in_there(page, console, name)
        assert told in await page.get_by_role("alert").inner_text()
        await page.goto(f"{console.base}/")
        assert page.url.startswith(f"{console.base}/login")
        assert await find_account(console.stores.ledger, f"{name}@example.com") is None
        await page.context.close()

    page = await start(browser, console, faults)
    await sign_in_there(page, console, "bob")
    # His role does not open what he had asked for.
    assert "Your role, user, does not open this" in await page.locator("main").inner_text()
    await page.context.close()

    page = await start(browser, console, faults)
    await go_there(page, console, "/login")
    await page.get_by_role("link", name="Cancel").click()
    await page.wait_for_url(f"{console.base}/**")
    assert "Example Staff did not let you in" in await page.get_by_role("alert").inner_text()
    await page.context.close()
    # Who is refused, and who must wait, is answered so; nothing else went wrong.
    assert [fault for fault in faults if not re.search(r"\b(403|429)\b", fault)] == []
