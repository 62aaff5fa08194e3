"""A walk over the console's own table of routes, in Chromium.

The router says which routes there are; who adds one with a parameter of a new name, or whose page
looks otherwise with a query, adds it here.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from collector.console.app import build_console
from indicia.judging import decide_by
from ledger.sessions import Person

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
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event =>
    console.error(`CSP ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""

SAMPLES: Mapping[str, str] = {
    "send_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ",
    "copy_id": "1001",
    "filename": "mark.svg",
    "address": "bob%40example.org",
}
"""For each parameter of a route a value; where the demo has a better one the walk gives it."""

STATES: Mapping[str, tuple[str, ...]] = {
    "/": ("?before=1",),
    "/people": ("?done=odd",),
    "/queue": ("?sender=nobody.example",),
    "/audit": ("?about=nobody@example.com",),
    "/policy": ("?from=anna@acme.example&to=bob@example.org", "?from=nobody&to=nobody"),
    "/policy/rule": ("?name=public%20offices",),
    "/consent": ("?about=carol.fitzgerald@example.org", "?about=nobody"),
}
"""Queries with which a page shows something it does not show without."""

MAIL = frozenset({"/captured/{copy_id}/body"})
"""What is drawn there is the mail itself, in the frame of a page: it is not ours to mend."""


def fill_in(path: str, better: Mapping[str, str] | None = None) -> str:
    """Return a route's path with a sample for each parameter; KeyError where there is none."""
    samples = {**SAMPLES, **(better or {})}
    return re.sub(r"\{(\w+)[^}]*\}", lambda match: samples[match[1]], path)


def states_of(path: str) -> Iterable[str]:
    """Return the queries a page is looked at with, the empty one first."""
    return ("", *STATES.get(path, ()))


@dataclass(frozen=True, slots=True)
class Sight:
    """One page in one state, as a person of some role finds it."""

    route: str
    address: str


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Give a browser of the test's own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()


def read_routes(console: Any) -> list[str]:
    """Return the paths of all routes that may be pages, as the router writes them."""
    app = build_console(console.settings, console.stores, decide_by(console.settings))
    paths = {
        route.resource.canonical
        for route in app.router.routes()
        if route.method == "GET" and route.resource is not None
    }
    # What is drawn with, and data, which has tests of its own.
    return sorted(path for path in paths if not path.startswith(("/static", "/api/")))


async def find_sights(
    console: Any, client: Any, better: Mapping[str, str], *statuses: int
) -> list[Sight]:
    """Return what is answered so by a page of ours: not by data, a stream or a piece of a page."""
    found = []
    for route in read_routes(console):
        for state in states_of(route):
            address = fill_in(route, better) + state
            async with client.http.get(console.base + address, allow_redirects=False) as answer:
                if answer.content_type != "text/html" or answer.status not in statuses:
                    continue
                if (await answer.text()).startswith("<!doctype html>") and route not in MAIL:
                    found.append(Sight(route, address))
    return found


async def find_doors(console: Any, client: Any, better: Mapping[str, str]) -> list[Sight]:
    """Return what leads a stranger to the sign-in page, and a sign-in link."""
    found = []
    for route in read_routes(console):
        address = fill_in(route, better)
        async with client.http.get(console.base + address, allow_redirects=False) as answer:
            if answer.status == 303:
                found.append(Sight(route, address))
    return [
        *found,
        Sight("/login", "/login"),
        Sight("/login", f"/login?code={await console.link_code()}"),
    ]


async def start_watched(console: Any, browser: Browser, faults: list[str]) -> BrowserContext:
    """Return a browser's context of which every fault and every other host is told."""
    context = await browser.new_context(reduced_motion="reduce", locale="en-GB")
    await context.add_init_script(TELL_VIOLATIONS)

    def look(asked: Any) -> None:
        if not asked.url.startswith((console.base, "data:", "blob:", "about:")):
            faults.append(f"asked {asked.url}")

    def hear(message: Any) -> None:
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            faults.append(f"{message.type} at {message.page.url}: {message.text}")

    context.on("request", look)
    context.on("console", hear)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
    return context


async def sign_in(console: Any, page: Page, person: Person) -> None:
    await page.goto(f"{console.base}/login?code={await console.link_code(person)}")
    await page.get_by_role("button").first.click()
    await page.wait_for_url(f"{console.base}/")
