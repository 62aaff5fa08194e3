"""Hostile texts in whatever comes from outside, by the real way into the pages: none runs.

They go through a real relay, an upstream that answers with them, and a real collector; what forms
take is given to the real console.  Some of the 500 are taken here, all by `make prove-collector`.
"""

import base64
import email
import email.policy
import html
import http.client
import os
import re
import smtplib
import socketserver
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.header import Header
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.hostile import COUNT, hostile_texts

pytestmark = pytest.mark.daemon

TEXTS = hostile_texts()[:: max(1, COUNT // int(os.environ.get("TEXTS", "8")))]
BATCHES = [range(at, min(at + 25, len(TEXTS))) for at in range(0, len(TEXTS), 25)]
"""Numbers of texts that go through one relay: a page lists all that it has."""
REPORT = -1
"""The number of mail from the null sender."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
FIND = """
() => [...document.querySelectorAll("*")].filter(one =>
    [...one.attributes].some(at => at.name.startsWith("on") || at.name.startsWith("hx-on")
        || /^\\s*(javascript|vbscript|data:text)/i.test(at.value) && at.name !== "title"
           && at.name !== "value")
    || ["BASE", "OBJECT", "EMBED", "STYLE"].includes(one.tagName)
    || one.tagName === "SCRIPT" && !one.src.startsWith(location.origin + "/static/")
).map(one => one.outerHTML.slice(0, 200)).concat(window.pwned ? ["pwned"] : [])
"""


def one_line(text: str, most: int = 400) -> str:
    """Return a text as one line of a protocol may have it."""
    return _CONTROLS.sub("", text)[:most]


@dataclass
class Upstream:
    """Answers with the text that the sender's number names, and keeps what it took."""

    port: int
    got: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    told = Upstream(0)

    class Session(socketserver.StreamRequestHandler):
        def say(self, code: str, number: int = 0) -> None:
            self.wfile.write(f"{code} {one_line(TEXTS[number])}\r\n".encode())

        def handle(self) -> None:
            self.wfile.write(b"220 upstream ESMTP\r\n")
            number = 0
            while line := self.rfile.readline():
                if line[:4].upper() == b"EHLO":
                    self.wfile.write(b"250-upstream\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
                elif line[:4].upper() == b"MAIL":
                    sender = re.search(rb"sender\.(\d+)@", line)
                    number = int(sender[1]) if sender else REPORT
                    self.say("250 2.1.0", number)
                elif line[:8].upper() == b"RCPT TO:":
                    refused = {b"no": "550 5.1.1", b"la": "451 4.7.1"}.get(line[9:11], "250 2.1.5")
                    self.say(refused, number)
                elif line[:4].upper() == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                elif line[:4].upper() == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    data = bytearray()
                    while (part := self.rfile.readline()) not in (b".\r\n", b""):
                        data += part
                    told.got[number].append(bytes(data))
                    self.say("250 2.0.0", number)
                else:
                    self.wfile.write(b"250 ok\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Session) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def local_part(text: str) -> str:
    """Return a text as a quoted local part (RFC 5321 4.1.2), as far as it may be one."""
    kept = "".join(letter for letter in text if " " <= letter <= "~")[:50]
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encoded(text: str) -> str:
    return Header(text, "utf-8", maxlinelen=70).encode()


def hostile_mail(number: int, text: str) -> bytes:
    """Return a mail with the text in every field; its lines end in CRLF."""
    ascii_text = one_line(text).encode("ascii", "replace").decode()[:200]
    shown = html.escape(text)
    page = (
        f'<html><body><p>{shown}</p><a href="https://shop.example/{number}?a={quote(text)}">'
        f'{shown}</a> <a href="{shown}">x</a> <a href="https://text.example/">{shown}</a>'
        "</body></html>"
    )
    lines = [
        f"From: {encoded(text)} <sender.{number}@acme.example>",
        f"To: {encoded(text)} <yes.{number}@example.org>, <no.{number}@example.org>",
        f"Cc: {encoded(text)} <later.{number}@example.org>",
        f"Subject: {encoded(text)}",
        f"Message-ID: <{number}.{ascii_text.replace(' ', '')}@acme.example>",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        f"X-Indicia-Tag: {ascii_text}",
        f"X-Indicia-Metadata-key: {ascii_text}",
        f"X-Mailer: {ascii_text}",
        "MIME-Version: 1.0",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        base64.encodebytes(page.encode()).decode(),
    ]
    return "\n".join(lines).replace("\n", "\r\n").encode()


def send_all(port: int, numbers: range) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30, local_hostname="client.example") as client:
        for number in numbers:
            text = TEXTS[number]
            people = [f"{kind}.{number}@example.org" for kind in ("yes", "no", "later")]
            odd = f"{local_part(text)}@example.org"
            client.sendmail(
                f"sender.{number}@acme.example", [*people, odd], hostile_mail(number, text)
            )


def come_back(port: int, number: int, raw: bytes) -> None:
    """Open a copy and follow its links, by a program whose every header field is the text."""
    page = email.message_from_bytes(raw, policy=email.policy.default).get_content()
    told = one_line(TEXTS[number]).encode().decode("latin-1")
    fields = dict.fromkeys(("User-Agent", "Referer", "Accept-Language", "X-Forwarded-For"), told)
    for url in re.findall(rf'"(http://127\.0\.0\.1:{port}/[^"]+)"', page):
        asked = urlsplit(html.unescape(url))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request(
            "GET", asked.path + (f"?{asked.query}" if asked.query else ""), headers=fields
        )
        assert connection.getresponse().status in (200, 302)
        connection.close()


class Visitor:
    """A Chromium that is signed in, and all that it met."""

    def __init__(self, browser: Any, indicia: Any) -> None:
        self.base = f"http://127.0.0.1:{indicia.console}"
        self.faults: list[str] = []
        self.seen = 0
        context = browser.new_context()
        context.on("dialog", self._dismiss)
        context.on("request", self._look)
        context.on("console", self._hear)
        context.on("page", lambda page: page.on("popup", lambda _: self.faults.append("popup")))
        self.page = context.new_page()
        self.page.goto(re.search(r"http://\S+/login\S+", indicia.output())[0])  # type: ignore[index]
        self.page.get_by_role("button").first.click()
        self.page.wait_for_url(f"{self.base}/")
        self.token = self.page.locator("input[name=form_token]").first.get_attribute("value")

    def visit(self, path: str) -> None:
        self.page.goto(self.base + path)
        assert self.page.url.startswith(self.base), self.page.url
        self.faults += [f"{path}: {one}" for one in self.page.evaluate(FIND)]
        self.seen += 1

    def fill_in(self, path: str, **form: str) -> None:
        # Chromium's request, without a page: a form's own field would normalise the text.
        answer = self.page.request.post(
            self.base + path, form={"form_token": self.token, **form}, max_redirects=0
        )
        assert answer.status in (303, 422), (path, answer.status)

    def links(self, start: str) -> set[str]:
        found = self.page.locator(f"main a[href^='{start}']")
        return {
            str(link) for link in found.evaluate_all("all => all.map(a => a.getAttribute('href'))")
        }

    def _dismiss(self, dialog: Any) -> None:
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _look(self, asked: Any) -> None:
        if not asked.url.startswith((self.base, "about:")):
            self.faults.append(f"asked {asked.url[:200]}")

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.faults.append(f"{message.type}: {message.text[:200]}")


@pytest.mark.parametrize("numbers", BATCHES, ids=str)
def test_no_hostile_text_runs_in_a_page_whatever_way_it_came(
    numbers: range,
    start_indicia: Callable[..., Any],
    upstream: Upstream,
    chromium: Any,
    waiting: Callable[..., Any],
) -> None:
    indicia = start_indicia(
        f'[[upstream]]\nname = "<b>up"\nhost = "127.0.0.1"\nport = {upstream.port}\ntls = "none"\n'
        '[privacy]\nkeep_network = "full"\n'
    )
    send_all(indicia.smtp, numbers)
    waiting(
        lambda: len(upstream.got.keys() - {REPORT}) == len(numbers), 60, "every mail has gone out"
    )
    for number, copies in list(upstream.got.items()):
        for raw in copies if number != REPORT else ():
            come_back(indicia.collector, number, raw)
    visitor = Visitor(chromium, indicia)
    for number in numbers:
        text = TEXTS[number]
        about = f"yes.{number}@example.org"
        given = {"state": "granted", "method": "spoken", "source": text[:400], "text": text}
        visitor.fill_in("/consent", about=about, **given)
        rule = {"recipient": "nobody@nowhere.example", "mode": "off", "do": "save"}
        visitor.fill_in("/policy/rule", name=one_line(text)[:90], reason=text[:900], **rule)
    paths = {"/", "/messages", "/queue", "/policy", "/consent", "/audit", "/people"}
    looked: set[str] = set()
    while paths - looked:
        path = min(paths - looked)
        looked.add(path)
        visitor.visit(path)
        for start in (
            "/messages/",
            "/recipients/",
            "/consent?about",
            "/policy/rule?name",
            "/?before",
            "/messages?before",
            "/queue?after",
            "/consent?after",
            "/policy?before",
        ):
            paths |= visitor.links(start)
    for number in numbers[::10]:
        visitor.visit(
            f"/login?code={quote(TEXTS[number], safe='')}&next={quote(TEXTS[number], safe='')}"
        )
    assert not visitor.faults, "\n".join(visitor.faults[:20])
    told = visitor.seen
    assert told >= 2 * len(numbers)
    events = indicia.events("email.relayed", "email.failed", "email.deferred", "email.clicked")
    of = {event["type"] for event in events}
    assert of == {"email.relayed", "email.failed", "email.deferred", "email.clicked"}


def test_the_same_texts_do_run_where_nothing_holds_them(chromium: Any) -> None:
    # Were it not so, the test above could not fail.
    context = chromium.new_context()
    ran: set[int] = set()
    for number, text in enumerate(TEXTS[:40]):
        page = context.new_page()
        page.on("dialog", lambda dialog, number=number: (ran.add(number), dialog.dismiss()))
        page.on(
            "request",
            lambda asked, number=number: ran.add(number) if "canary" in asked.url else None,
        )
        page.set_content(f"<p>{text}</p><input value='{text}'><a href=\"{text}\">x</a>")
        page.wait_for_timeout(50)
        if page.evaluate(FIND):
            ran.add(number)
        page.close()
    assert len(ran) >= min(40, len(TEXTS)) // 3
