"""Times the console's pages over a filled ledger: the server alone, and first paint in Chromium.

    .venv/bin/python -m bench.ledger.fill FOLDER --events 10000000
    .venv/bin/python -m bench.console.pages FOLDER [--times 5] [--no-browser] [--only /log]

The console is a process of its own, as it is where it runs.  `first` is the first request of a
page, `median` and `worst` are of those after it.  The goals: first paint under 1 s, a filter
(whatever has a `?`) answered under 300 ms.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from playwright._impl._api_structures import SetCookieParam
from playwright.async_api import async_playwright

from collector.console.access import make_sign_in_link
from collector.console.app import run_console
from config.settings import Settings
from indicia.judging import decide_by
from ledger.audit import OPERATOR, Author
from ledger.keys import load_audit_key
from ledger.migrate import Stores, open_stores
from ledger.people import Account, add_account, find_account
from ledger.role import Role
from ledger.sessions import Person

CHROMIUM = Path("/usr/bin/chromium")
ADMIN = Person("admin@sender.example", Role.ADMIN)
USER = Person("ann7@sender.example", Role.USER, "ann7@sender.example")
BOB = "bob0@example.org"
"""Who got more than anybody: one mail of two hundred."""
FILTERS = (
    "sender=ann7@sender.example",
    "sender=ann7@sender.example&type=failed",
    f"recipient={BOB}",
    f"recipient={BOB}&type=clicked",
    "recipient=bob4711@example.org",
    "recipient=nobody@example.org",
    "subject=offer",
    "subject=number+777777",
    "subject=nowhere+to+be+found",
    "subject=offer&type=failed",
    "message_id=777777@sender.example",
    "url=example.com/offer/8",
    "url=nowhere.example",
    "reply=User+unknown",
    "reply=queued+as+BDE31",
    "reply=nowhere",
    "type=clicked",
    "type=deferred",
    "type=failed&since=1d",
    "type=withdrawn",
    "classification=scanner",
    "classification=unfurl",
    "classification=scanner&type=clicked",
    "since=2d",
    "until=60d",
    "since=61d&until=60d&type=opened",
)
PAGES = (
    "/",
    "/messages",
    f"/recipients/{BOB}",
    "/recipients/bob4711@example.org",
    "/log",
    "/stats",
    "/stats?days=30",
    *(f"/log?{one}" for one in FILTERS),
)
PAINTED = ("/", "/messages", f"/recipients/{BOB}", "/log", "/stats", f"/log?{FILTERS[0]}")


_PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"


def serve(folder: Path, said: Connection) -> None:
    """Run the console until the process is ended, and say its port."""

    async def run() -> None:
        settings = settings_of(folder)
        stores = await open_stores(settings.database.url, settings.database.spool_url)
        async with run_console(settings, stores, decide_by(settings)) as (port,):
            said.send(port)
            await asyncio.Event().wait()

    asyncio.run(run())


def settings_of(folder: Path) -> Settings:
    """Return the configuration of a console on the stores of a folder."""
    return Settings.model_validate(
        {"server": {"state_dir": folder}, "console": {"listen": ["127.0.0.1:0"]}}
    )


@asynccontextmanager
async def signed_in(
    folder: Path, base: str, person: Person
) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session of a person."""
    settings = settings_of(folder)
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    try:
        await _let_in(stores, person)
        author = Author(OPERATOR, datetime.now(UTC), load_audit_key(settings.keys_dir))
        link = await make_sign_in_link(stores.ledger, base, person, author)
    finally:
        await stores.close()
    jar = aiohttp.CookieJar(unsafe=True)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(base, cookie_jar=jar, timeout=timeout) as client:
        await client.post("/login", data={"code": link.partition("code=")[2]})
        yield client


async def _let_in(stores: Stores, person: Person) -> None:
    """Give a person an account, unless he has one from before."""
    if person.key is not None and await find_account(stores.ledger, person.name) is None:
        author = Author(OPERATOR, datetime.now(UTC), bytes(32))
        await add_account(stores.ledger, Account(person.name, person.role), author)


async def time_pages(client: aiohttp.ClientSession, pages: Sequence[str], times: int) -> None:
    """Print how long the server takes for each page."""
    for page in pages:
        took = []
        for _ in range(times + 1):
            began = time.perf_counter()
            async with client.get(page, allow_redirects=False) as answer:
                await answer.read()
                took.append((time.perf_counter() - began) * 1000)
        later = took[1:] or took
        print(
            f"  {page:60} {answer.status} first {took[0]:7.0f} ms  "
            f"median {statistics.median(later):6.0f}  worst {max(later):6.0f}",
            flush=True,
        )


async def paint_pages(client: aiohttp.ClientSession, base: str, times: int) -> None:
    """Print how long Chromium takes until something stands on the page."""
    cookies: list[SetCookieParam] = [
        {"name": one.key, "value": one.value, "url": base} for one in client.cookie_jar
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context()
        await context.add_cookies(cookies)
        page = await context.new_page()
        for path in PAINTED:
            took = []
            for _ in range(times):
                await page.goto(base + path)
                # The page's policy forbids what playwright's own waiting does.
                while not await page.evaluate(_PAINTED):  # noqa: ASYNC110 - Chromium tells no event
                    await asyncio.sleep(0.02)
                took.append(
                    await page.evaluate(
                        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                    )
                )
            median = statistics.median(took)
            print(f"  {path:60} paint median {median:6.0f} ms  worst {max(took):6.0f}")
        await browser.close()


async def _time(given: argparse.Namespace, base: str) -> None:
    pages = [page for page in PAGES if page.startswith(given.only)]
    for person in (ADMIN, USER):
        async with signed_in(given.folder, base, person) as client:
            print(f"{person.role.value}, the server alone:")
            await time_pages(client, pages, given.times)
            if given.browser:
                print(f"{person.role.value}, first contentful paint:")
                await paint_pages(client, base, given.times)


def main() -> None:
    """Start a console on the folder and time its pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default="/", help="pages that begin so")
    parser.add_argument("--no-browser", dest="browser", action="store_false")
    given = parser.parse_args()
    ours, theirs = get_context("spawn").Pipe()
    console = get_context("spawn").Process(target=serve, args=(given.folder, theirs))
    console.start()
    try:
        asyncio.run(_time(given, f"http://127.0.0.1:{ours.recv()}"))
    finally:
        console.terminate()
        console.join()


if __name__ == "__main__":
    main()
