"""The console's wiring."""

import socket
from pathlib import Path
from typing import Any

import pytest

from collector.console.app import run_console
from collector.console.page import PAGES, STATIC
from indicia.judging import decide_by


async def test_a_page_that_is_not_there_says_so_in_its_own_frame(console: Any) -> None:
    status, page, _ = await (await console.signed_in()).get("/nothing")
    assert status == 404
    assert "There is no such page" in page
    assert ">404" not in page
    assert "Sign out" in page


async def test_a_method_that_is_not_there_names_those_that_are(console: Any) -> None:
    person = await console.signed_in()
    form = {"form_token": await person.form_token()}
    status, page, headers = await person.post("/messages", form)
    assert status == 405
    assert headers["Allow"] == "GET,HEAD"
    assert "Method Not Allowed" in page


async def test_too_long_a_form_is_refused(console: Any) -> None:
    stranger = await console.stranger()
    status, _, _ = await stranger.post("/login", {"code": "x" * 100_000})
    assert status == 413


async def test_it_listens_where_it_is_told_and_tells_the_ports(console: Any) -> None:
    both = console.settings.console.listen * 2
    section = console.settings.console.model_copy(update={"listen": both})
    settings = console.settings.model_copy(update={"console": section})
    async with run_console(settings, console.stores, decide_by(settings)) as ports:
        assert len(set(ports)) == 2
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", ports[0]))


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    for page in PAGES.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<style" not in text, page
        assert " style=" not in text, page
        assert "<script>" not in text, page
        assert " on" + "click=" not in text, page
        assert "| safe" not in text, page
        assert "//" not in text.replace("http://", "").replace("https://", "").replace("://", "")
    for own in ("console.css", "console.js"):
        assert "http" not in (STATIC / own).read_text(encoding="utf-8")


def test_what_was_taken_over_has_its_licence_and_its_version() -> None:
    vendor = STATIC / "vendor"
    told = (vendor / "README.md").read_text(encoding="utf-8")
    for file in vendor.iterdir():
        if file.suffix in (".js", ".css"):
            assert f"`{file.name}`" in told
            licence = "pico" if file.name.startswith("pico") else "htmx"
            assert Path(vendor / f"{licence}.LICENSE").stat().st_size > 500
    assert "4.0.1" in told
    assert 'this.version="4.0.1"' in (vendor / "htmx.min.js").read_text(encoding="utf-8")
    assert "Pico CSS ✨ v2.1.1" in (vendor / "pico.min.css").read_text(encoding="utf-8")
