"""One mail, the whole way: program, relay, Postfix, Maildir, Chromium, collector, log and feed."""

import email
import email.policy
import http.server
import re
import smtplib
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.daemon

PEOPLE = {"to1@example.test": "to", "cc1@example.test": "cc", "bcc1@example.test": "bcc"}


class Shop(http.server.BaseHTTPRequestHandler):
    """Where the links lead; it keeps what was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        if self.path != "/favicon.ico":  # which a browser asks for by itself
            type(self).asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>Shop</title><p>Welcome")

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []
    handler = type("ThisShop", (Shop,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def offer(shop: int) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann Sender <ann@sender.test>"
    message["To"] = "Tove One <to1@example.test>"
    message["Cc"] = "cc1@example.test"
    message["Bcc"] = "bcc1@example.test"
    message["Subject"] = "Our offer – grüße"
    message["Message-ID"] = "<offer.1@sender.test>"
    message["Date"] = "Tue, 24 Nov 2026 08:00:00 +0000"
    message.set_content("Our offer, in plain text.\n")
    message.add_alternative(
        "<html><body><p>Dear all, here is <a"
        f' href="http://127.0.0.1:{shop}/offer?a=1&amp;b=%2F#price">our offer</a>.</p>'
        "</body></html>\n",
        subtype="html",
    )
    return message


def sign_in(browser: Any, indicia: Any) -> Any:
    link = re.search(r"http://127\.0\.0\.1:\d+/login\S+", indicia.output())
    assert link, indicia.output()
    page = browser.new_page()
    page.goto(link[0])
    page.get_by_role("button").first.click()
    page.wait_for_url(f"http://127.0.0.1:{indicia.console}/")
    return page


def read(browser: Any, raw: bytes, folder: Path, person: str, address: str) -> Any:
    """Show a mail's HTML as a mail program would, images on, in the network of this address."""
    body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    assert body is not None
    path = folder / "mail.html"
    path.write_text(body.get_content(), encoding="utf-8")
    # Three in one network within ten seconds would be a gateway, or one who tests.
    page = browser.new_page(user_agent=person, extra_http_headers={"X-Forwarded-For": address})
    page.goto(path.as_uri(), wait_until="networkidle")
    return page


def test_opened_and_clicked_by_exactly_the_one_who_did(
    postfix: Any,
    start_indicia: Callable[..., Any],
    chromium: Any,
    shop: tuple[int, list[str]],
    person: str,
    event_keys: frozenset[str],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    port, asked = shop
    indicia = start_indicia(
        postfix.upstream(tmp_path),
        env={
            "SSL_CERT_FILE": str(postfix.authority),
            "INDICIA_COLLECTOR__TRUSTED_PROXIES": "127.0.0.1/32",
        },
    )
    feed = sign_in(chromium, indicia)
    before = {who: len(postfix.mail_of(who)) for who in PEOPLE}
    with smtplib.SMTP("127.0.0.1", indicia.smtp) as client:
        client.send_message(offer(port), from_addr="ann@sender.test", to_addrs=list(PEOPLE))
    for number, (recipient, kind) in enumerate(PEOPLE.items(), 1):
        raw = waiting(
            lambda who=recipient: postfix.mail_of(who)[before[who] :], 20, f"mail for {recipient}"
        )[0]
        page = read(chromium, raw, tmp_path, person, f"198.51.{number}.7")
        with page.expect_navigation():
            page.get_by_text("our offer").click()
        assert page.url == f"http://127.0.0.1:{port}/offer?a=1&b=%2F#price"
        assert asked == ["/offer?a=1&b=%2F"] * number
        feed.get_by_text(recipient).first.wait_for(timeout=2000)

        opened = indicia.events("email.opened")
        clicked = indicia.events("email.clicked")
        assert len(opened) == len(clicked) == number
        for event in (opened, clicked):
            (mine,) = [one for one in event if one["recipient"] == recipient]
            assert set(mine) == event_keys
            assert mine["recipient_type"] == kind
            assert mine["attribution"] == "recipient"
            assert mine["tracking_mode"] == "individual"
            assert mine["first"] is True
            assert mine["message_id"] == "offer.1@sender.test"
            assert mine["subject"] == "Our offer – grüße"
    told = feed.inner_text("main")
    assert told.lower().count("opened") >= len(PEOPLE)
    assert told.lower().count("clicked") >= len(PEOPLE)
    assert postfix.password not in indicia.output()
    assert len(indicia.events("email.relayed")) == len(PEOPLE)
