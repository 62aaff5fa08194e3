"""A recipient who has nothing but the delivered mail stops tracking, and takes it back.

Each picture is kept where TEST_SCREENSHOTS names a folder.
"""

import email
import json
import os
import re
import shutil
import signal
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from html import unescape
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

TOM = "tom.berger@hafenbau.example"
CARLA = "carla.moreno@hafenbau.example"
BEA = "bea.holm@nordlicht.example"
CANARY = "Canary-Agent/2718281828"
LOCALES = {"en": "en-GB", "de": "de-AT", "sv": "sv-SE"}


@dataclass(frozen=True, slots=True)
class Mail:
    """What a recipient finds in his mail."""

    pixel: str
    link: str


def received(folder: Path, recipient: str) -> list[Message]:
    """Return the mails of a recipient, the oldest first, as they would lie in his mailbox."""
    with sqlite3.connect(folder / "state" / "spool.db") as spool:
        rows = spool.execute("SELECT recipients, raw FROM captured_copies ORDER BY captured_at")
        found = [(json.loads(people), raw) for people, raw in rows]
    spool.close()
    return [email.message_from_bytes(raw) for people, raw in found if recipient in str(people)]


def text_of(mail: Message, kind: str) -> str:
    parts = (part for part in mail.walk() if part.get_content_type() == kind)
    return next(parts).get_payload(decode=True).decode()  # type: ignore[union-attr]


def read(mail: Message) -> Mail:
    html = unescape(text_of(mail, "text/html"))
    pixel = re.search(r'src="([^"]+/o/[^"]+)"', html)
    links = re.findall(r'href="([^"]+/c/[^"]+)"', html)
    assert pixel is not None
    return Mail(pixel[1], next(link for link in links if "example.com/offers" in link))


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow nothing: where a link leads is the answer."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(url: str, port: int) -> tuple[int, str | None]:
    """Ask as a mail program does that can be recognised anywhere; return status and location."""
    here = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", url)
    request = urllib.request.Request(here, headers={"User-Agent": CANARY})
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=10) as reply:
            return int(reply.status), reply.headers["Location"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Location"]


def ask_both(mail: Mail, port: int) -> None:
    assert ask(mail.pixel, port) == (200, None)
    status, location = ask(mail.link, port)
    assert (status, (location or "")[:28]) == (302, "https://example.com/offers/q")


def raw_files(folder: Path) -> dict[str, bytes]:
    """Return every file the program has written: databases, their logs, and its own log."""
    files = [path for path in (folder / "state").rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in (*files, folder / "output.txt")}


def canaries(folder: Path) -> list[str]:
    return [name for name, raw in raw_files(folder).items() if CANARY.encode() in raw]


def stop(indicia: Any) -> None:
    indicia.process.send_signal(signal.SIGTERM)
    indicia.process.wait(30)


def hits_told(indicia: Any) -> int:
    """Return how many requests the feed tells of, further ones of the same view included."""
    events = indicia.events("email.opened", "email.clicked")
    return sum(1 + event["repeats"] for event in events)


def press(page: Any) -> str:
    page.get_by_role("button").click()
    page.wait_for_load_state("load")
    return str(page.inner_text("main"))


def photograph(page: Any, name: str) -> None:
    if folder := os.environ.get("TEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def delivered(
    start_indicia: Callable[..., Any], waiting: Callable[..., Any]
) -> Callable[..., tuple[Any, dict[str, Mail]]]:
    """Start an Indicia whose sample mail has been delivered; return it, and what each got."""

    def deliver() -> tuple[Any, dict[str, Mail]]:
        indicia = start_indicia()
        indicia.command("sandbox", "send")
        people = (TOM, CARLA, BEA)

        def all_have_it() -> bool:
            return all(received(indicia.folder, one) for one in people)

        waiting(all_have_it, 20, "the sample mail is delivered")
        waiting(lambda: len(indicia.events("email.relayed")) == 3, 20, "and on record")
        return indicia, {one: read(received(indicia.folder, one)[0]) for one in people}

    return deliver


def test_from_the_mail_alone_tracking_is_stopped_and_later_allowed_again(
    delivered: Callable[..., Any],
    chromium: Any,
    person: str,
    waiting: Callable[..., Any],
) -> None:
    indicia, mails = delivered()
    ask_both(mails[TOM], indicia.collector)
    waiting(lambda: hits_told(indicia) == 2, 20, "both are told")
    assert canaries(indicia.folder)  # the search finds what is there

    context = chromium.new_context(user_agent=person, locale="en-GB", color_scheme="light")
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{indicia.collector}/")
    photograph(page, "notice-en")
    page.get_by_label("Link from the mail").fill(f'<a href="{mails[TOM].link}">our offer</a>')
    told = press(page)
    assert "t…@hafenbau.example" in told
    assert TOM not in told
    photograph(page, "record-en")
    assert "You are not tracked any more" in press(page)
    photograph(page, "withdrawn-en")

    said = indicia.output()
    for _ in range(3):
        ask_both(mails[TOM], indicia.collector)
    ask_both(mails[CARLA], indicia.collector)
    waiting(lambda: hits_told(indicia) >= 4, 20, "another's hits are told")
    assert hits_told(indicia) == 4
    opened = {event["recipient"] for event in indicia.events("email.opened")}
    assert opened == {CARLA, TOM}
    assert TOM not in indicia.output()[len(said) :]
    assert CANARY not in indicia.output()

    page.goto(mails[TOM].pixel.replace("/o/", "/w/").removesuffix(".gif"))
    assert "stopped tracking on this page" in page.inner_text("main")
    photograph(page, "record-denied-en")
    assert "Look into your mailbox" in press(page)
    waiting(lambda: len(received(indicia.folder, TOM)) == 2, 20, "the confirmation is delivered")
    letter = received(indicia.folder, TOM)[1]
    assert "/o/" not in text_of(letter, "text/plain")
    confirm = re.search(r"http://\S+/w/confirm/\S+", text_of(letter, "text/plain"))
    assert confirm is not None
    page.goto(confirm[0])
    photograph(page, "confirm-en")
    assert "It is as it was before" in press(page)
    shown = json.loads(indicia.command("consent", "show", TOM, "--json"))
    assert [one["state"] for one in shown["history"]] == ["unknown", "denied"]
    assert {one["actor"] for one in shown["history"]} == {"recipient"}
    ask_both(mails[TOM], indicia.collector)
    waiting(lambda: hits_told(indicia) == 6, 20, "new hits are told")
    told = json.loads(indicia.command("export", TOM, "--json"))["events"]
    (withdrawn,) = [event for event in told if event["type"] == "tracking.withdrawn"]
    assert withdrawn["timestamp"].endswith("T00:00:00.000Z")
    # Its sender is told when the day is over, in no order that tells the time.
    assert "tracking.withdrawn" not in indicia.command("log", "--json")
    assert indicia.command("audit", "verify")


def test_after_a_withdrawal_nothing_of_a_hit_is_in_any_file(
    delivered: Callable[..., Any], chromium: Any, person: str
) -> None:
    indicia, mails = delivered()
    page = chromium.new_context(user_agent=person, locale="de-AT").new_page()
    page.goto(mails[TOM].pixel.replace("/o/", "/w/").removesuffix(".gif"))
    assert "Sie werden nicht mehr verfolgt" in press(page)
    rows = _rows(indicia.folder)
    said = indicia.output()
    for _ in range(5):
        ask_both(mails[TOM], indicia.collector)
    assert _rows(indicia.folder) == rows
    assert canaries(indicia.folder) == []
    assert TOM not in indicia.output()[len(said) :]
    assert hits_told(indicia) == 0
    stop(indicia)
    assert canaries(indicia.folder) == []


@pytest.mark.parametrize("down", ["locked", "removed"])
def test_with_the_ledger_down_a_withdrawal_holds_at_once_over_restarts_and_in_the_end(
    delivered: Callable[..., Any],
    start_indicia: Callable[..., Any],
    chromium: Any,
    waiting: Callable[..., Any],
    down: str,
) -> None:
    indicia, mails = delivered()
    folder: Path = indicia.folder
    ledger = folder / "state" / "ledger.db"
    away = folder / "away"
    other = None
    if down == "locked":
        other = sqlite3.connect(ledger, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
    else:
        stop(indicia)
        away.mkdir()
        for file in (folder / "state").glob("ledger.db*"):
            file.rename(away / file.name)
        indicia = start_indicia()
    page = chromium.new_context(locale="sv-SE").new_page()
    page.goto(
        f"http://127.0.0.1:{indicia.collector}/w/" + mails[CARLA].pixel[-40:].removesuffix(".gif")
    )
    assert "Din invändning är sparad" in press(page)
    photograph(page, f"kept-{down}-sv")
    ask_both(mails[CARLA], indicia.collector)
    if other is None:
        stop(indicia)
        indicia = start_indicia()
        ask_both(mails[CARLA], indicia.collector)
        stop(indicia)
        for file in (folder / "state").glob("ledger.db*"):
            file.unlink()
        for file in away.iterdir():
            shutil.move(file, folder / "state" / file.name)
        indicia = start_indicia()
    else:
        other.execute("ROLLBACK")
        other.close()

    def denied() -> bool:
        with sqlite3.connect(ledger) as look:
            rows = look.execute("SELECT subject, state FROM consents").fetchall()
        look.close()
        return rows == [(CARLA, "denied")]

    waiting(denied, 30, "the denial is on record")
    ask_both(mails[CARLA], indicia.collector)
    assert hits_told(indicia) == 0
    assert canaries(folder) == []
    assert CARLA not in "".join(
        line for line in indicia.output().splitlines() if "wish" in line or "hits" in line
    )


@pytest.mark.parametrize("language", LOCALES)
def test_the_pages_are_for_everybody(
    delivered: Callable[..., Any], chromium: Any, language: str
) -> None:
    indicia, mails = delivered()
    target = mails[BEA].link.replace("/c/", "/w/")
    for scheme, width in (("light", 1000), ("dark", 1000), ("light", 320), ("dark", 320)):
        context = chromium.new_context(
            locale=LOCALES[language],
            color_scheme=scheme,
            viewport={"width": width, "height": 700},
            java_script_enabled=True,
        )
        page = context.new_page()
        problems: list[str] = []
        page.on("console", lambda message, said=problems: said.append(message.text))
        for name, url in (("notice", f"http://127.0.0.1:{indicia.collector}/"), ("record", target)):
            page.goto(url)
            photograph(page, f"{name}-{language}-{scheme}-{width}")
            assert page.evaluate("document.documentElement.lang") == language
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert _contrast(page) >= 4.5, (name, scheme)
            assert page.evaluate(
                "[...document.querySelectorAll('textarea, input')].every(one => one.labels.length)"
            )
            assert page.evaluate("document.querySelector('button').offsetHeight") >= 44
            assert page.locator("h1").count() == 1
        assert problems == [], "a policy of the page's own is broken"
        context.close()
    assert hits_told(indicia) == 0


_CONTRAST = """() => {
  const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = color => {
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = color; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = color => {
    const [r, g, b] = rgb(color).slice(0, 3).map(value => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    for (let one = node; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (rgb(color)[3] > 0) return color;
    }
    return 'white';
  };
  const ratios = [...document.querySelectorAll('h1,h2,p,li,dt,dd,label,button,a')].map(node => {
    const [one, two] = [light(getComputedStyle(node).color), light(behind(node))];
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  });
  return Math.min(...ratios);
}"""
"""WCAG 2.2, 1.4.3: the least contrast of text on the page; 4.5 is asked for."""


def _contrast(page: Any) -> float:
    return float(page.evaluate(_CONTRAST))


def _rows(folder: Path) -> dict[str, list[int]]:
    """Return how many rows each table has, of ledger and spill."""
    counts: dict[str, list[int]] = {}
    for name in ("ledger.db", "spill.db"):
        with sqlite3.connect(folder / "state" / name) as store:
            tables = [
                row[0]
                for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            counts[name] = [
                store.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables
            ]
        store.close()
    return counts
