"""The sandbox as the README shows it: one line sends, three copies, one reader, one feed."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

TOM = "tom.berger@hafenbau.example"
CARLA = "carla.moreno@hafenbau.example"
BEA = "bea.holm@nordlicht.example"
SHOWN_WITHIN_MS = 2000


def test_what_one_reader_does_is_told_of_him_alone(
    start_indicia: Callable[..., Any], chromium: Any, person: str
) -> None:
    indicia = start_indicia()
    indicia.command("sandbox", "send")
    context = chromium.new_context(user_agent=person, viewport={"width": 1100, "height": 640})
    feed = context.new_page()
    feed.goto(re.search(r"http://\S+/login\S+", indicia.output())[0])
    feed.get_by_role("button").first.click()

    mailbox = context.new_page()
    mailbox.goto(f"http://127.0.0.1:{indicia.console}/captured")
    told = mailbox.inner_text("main")
    assert all(address in told for address in (TOM, CARLA, BEA))
    assert mailbox.locator("main a[href^='/captured/']").count() >= 3

    read_as(mailbox, indicia.console, CARLA)
    feed.get_by_text("Opened").first.wait_for(timeout=SHOWN_WITHIN_MS)
    mail = read_as(mailbox, indicia.console, TOM)
    with context.expect_page():
        mail.locator("a[href*='/c/']", has_text="offer").first.click()
    feed.get_by_text("Clicked").first.wait_for(timeout=SHOWN_WITHIN_MS)

    if folder := os.environ.get("TEST_SCREENSHOTS"):
        feed.wait_for_timeout(500)
        feed.screenshot(path=Path(folder) / "feed.png")
    opened = [event["recipient"] for event in indicia.events("email.opened")]
    assert opened == [CARLA, TOM]
    assert [event["recipient"] for event in indicia.events("email.clicked")] == [TOM]
    assert BEA not in opened


def read_as(page: Any, console: int, recipient: str) -> Any:
    """Open the copy of a recipient in the captured mailbox; return the frame with his mail."""
    page.goto(f"http://127.0.0.1:{console}/captured")
    page.get_by_role("link").filter(has_text=recipient).first.click()
    page.wait_for_load_state("networkidle")
    return page.frames[-1]
