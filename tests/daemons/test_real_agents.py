"""Programs that open mail as they do in the wild, and what is told of each.

Postfix delivers one mail to four Maildirs; a browser with images, one without, a browser behind an
image proxy like Gmail's, and a scanner like SafeLinks read them.
"""

import email
import email.policy
import html
import http.client
import http.server
import re
import smtplib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

pytestmark = pytest.mark.daemon

WITH_IMAGES, WITHOUT, WEBMAIL, GUARDED = PEOPLE = (
    "to1@example.test",
    "to2@example.test",
    "cc1@example.test",
    "bcc1@example.test",
)
FEED = [
    "bcc1@example.test",
    "Opened",
    "probably a person",
    "cc1@example.test",
    "Opened",
    "very likely a person, through an image proxy",
    "to2@example.test",
    "Opened",
    "probably a person",
    "Clicked our offer",
    "probably a person",
    "to1@example.test",
    "Opened",
    "probably a person",
    "Not counted, by programs: copy of bcc1@example.test clicked 4 times",
    "Handed on for to1@example.test, to2@example.test, cc1@example.test, bcc1@example.test",
]
LINKS = {"our offer": "/offer?item=1", "our terms": "/terms?part=2"}

# Gmail fetches on view and caches: SendGrid's payload, Anymail's tests.
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
# SafeLinks asks twice, the second time with a parameter altered: github.com/gophish/gophish#973.
SAFELINKS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/57.0.2987.133 Safari/537.36"
)
# Networks of their own, as far as this machine has any.
GMAIL_ADDRESS, SAFELINKS_ADDRESS = "127.0.66.1", "127.0.40.1"


def ask(url: str, agent: str, address: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for a URL from an address; follow nothing."""
    parts = urlsplit(url)
    asked = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=10, source_address=(address, 0)
    )
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        asked.request("GET", target, headers={"User-Agent": agent, "Accept": "*/*"})
        reply = asked.getresponse()
        fields = {name.lower(): value for name, value in reply.getheaders()}
        return reply.status, fields, reply.read()
    finally:
        asked.close()


class Webmail(http.server.BaseHTTPRequestHandler):
    """Shows a mail with its images behind a proxy that fetches on view and keeps what it got."""

    mail: str
    cache: dict[str, tuple[str, bytes]]
    fetched: list[str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/mail":
            self.answer("text/html; charset=utf-8", self.mail.encode())
        elif parts.path == "/proxy":
            self.answer(*self.image(parse_qs(parts.query)["url"][0]))
        else:
            self.send_error(404)

    def image(self, url: str) -> tuple[str, bytes]:
        if url not in self.cache:
            self.fetched.append(url)
            _, fields, body = ask(url, GMAIL, GMAIL_ADDRESS)
            self.cache[url] = (fields["content-type"], body)
        return self.cache[url]

    def answer(self, media_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass


class Shop(Webmail):
    """Where the links lead."""

    def do_GET(self) -> None:
        self.answer("text/html", b"<title>Shop</title><p>Welcome")


@contextmanager
def listening(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def offer(shop: int) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann Sender <ann@sender.test>"
    message["To"] = f"{WITH_IMAGES}, {WITHOUT}"
    message["Cc"] = WEBMAIL
    message["Bcc"] = GUARDED
    message["Subject"] = "Our offer"
    message["Message-ID"] = "<offer.2@sender.test>"
    message.set_content("Our offer, in plain text.\n")
    links = "".join(
        f'<p>Here is <a href="http://127.0.0.1:{shop}{path}">{text}</a>.</p>'
        for text, path in LINKS.items()
    )
    message.add_alternative(f"<html><body>{links}</body></html>\n", subtype="html")
    return message


def body_of(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    assert body is not None
    return str(body.get_content())


def show(
    browser: Any, content: str, folder: Path, person: str, address: str, *, images: bool = True
) -> Any:
    """Show a mail as a mail program would, with images or without; return its page."""
    whence = {"X-Forwarded-For": address}
    page = browser.new_context(user_agent=person, extra_http_headers=whence).new_page()
    if not images:
        page.route("**/*", _without_images)
    path = folder / "mail.html"
    path.write_text(content, encoding="utf-8")
    page.goto(path.as_uri(), wait_until="networkidle")
    return page


def _without_images(route: Any) -> None:
    if route.request.resource_type == "image":
        route.abort()
    else:
        route.continue_()


def scan(raw: bytes) -> list[str | None]:
    """Ask for each link as it is and with its parameter altered; return where each led."""
    links = [html.unescape(one) for one in re.findall(r'href="([^"]+/c/[^"]+)"', body_of(raw))]
    assert len(links) == len(LINKS)
    led: list[str | None] = []
    for link in links:
        for asked in (link, f"{link}%27"):
            _, fields, _ = ask(asked, SAFELINKS, SAFELINKS_ADDRESS)
            led.append(fields.get("location"))
    return led


def in_webmail(raw: bytes) -> str:
    """Return a mail's HTML with its images asked for at the proxy."""
    return re.sub(
        r'(<img [^>]*src=")([^"]+)"',
        lambda found: f'{found[1]}/proxy?url={quote(html.unescape(found[2]), safe="")}"',
        body_of(raw),
    )


@pytest.fixture
def sent(
    postfix: Any, start_indicia: Callable[..., Any], waiting: Callable[..., Any], tmp_path: Path
) -> Iterator[tuple[Any, dict[str, bytes], int]]:
    """An Indicia, what it delivered to each Maildir, and the port of the shop."""
    with listening(Shop) as shop:
        environment = {
            "SSL_CERT_FILE": str(postfix.authority),
            # Whom a browser is forwarded for: people sit in networks of their own.
            "INDICIA_COLLECTOR__TRUSTED_PROXIES": "127.0.0.1/32",
        }
        indicia = start_indicia(postfix.upstream(tmp_path), env=environment)
        before = {who: len(postfix.mail_of(who)) for who in PEOPLE}
        with smtplib.SMTP("127.0.0.1", indicia.smtp) as client:
            client.send_message(offer(shop), from_addr="ann@sender.test", to_addrs=list(PEOPLE))

        def arrived(who: str) -> bytes | None:
            return next(iter(postfix.mail_of(who)[before[who] :]), None)

        mails = {
            who: waiting(lambda who=who: arrived(who), 20, f"mail for {who}") for who in PEOPLE
        }
        known = len(PEOPLE)
        waiting(lambda: len(indicia.events("email.relayed")) == known, 20, "the ledger knows it")
        yield indicia, mails, shop


def told_when(
    waiting: Callable[..., Any], indicia: Any, enough: Callable[[dict[str, Any]], bool], what: str
) -> dict[str, list[dict[str, Any]]]:
    """Return opens and clicks by recipient as soon as they are enough."""

    def look() -> dict[str, list[dict[str, Any]]] | None:
        told: dict[str, list[dict[str, Any]]] = {who: [] for who in PEOPLE}
        for event in indicia.events("email.opened", "email.clicked"):
            told[event["recipient"]].append(event)
        return told if enough(told) else None

    found: dict[str, list[dict[str, Any]]] = waiting(look, 10, what)
    return found


def test_the_feed_tells_each_agents_story(
    sent: tuple[Any, dict[str, bytes], int],
    chromium: Any,
    person: str,
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> None:
    indicia, mails, shop = sent

    # A scanner takes the mail of one before he sees it.
    led = scan(mails[GUARDED])
    assert led == [f"http://127.0.0.1:{shop}{path}" for path in LINKS.values() for _ in "12"]
    # Two have their images switched on and off.
    show(chromium, body_of(mails[WITH_IMAGES]), tmp_path, person, "192.0.2.1")
    page = show(chromium, body_of(mails[WITHOUT]), tmp_path, person, "203.0.113.1", images=False)
    # The fourth reads webmail, whose proxy has not fetched before he looks.
    fetched: list[str] = []
    whole = {"mail": in_webmail(mails[WEBMAIL]), "cache": {}, "fetched": fetched}
    webmail = type("Gmail", (Webmail,), whole)
    told = told_when(
        waiting,
        indicia,
        lambda told: told[WITH_IMAGES] and sum(one["repeats"] for one in told[GUARDED]) == 2,
        "an open, and of the scanner's four requests two repeats of two",
    )
    assert (told[WITHOUT], told[WEBMAIL]) == ([], [])
    (opened,) = told[WITH_IMAGES]
    assert story(opened) == ("email.opened", "human_likely", False, True, 0)
    scanned = told[GUARDED]
    assert [story(one) for one in scanned] == [("email.clicked", "scanner", True, False, 1)] * 2

    # Without images nothing was seen, until he follows a link.
    with page.expect_navigation():
        page.get_by_text("our offer").click()
    assert page.url == f"http://127.0.0.1:{shop}{LINKS['our offer']}"
    # The proxy fetches at the first look, and shows the second from its cache.
    with listening(webmail) as port:
        for _ in range(2):
            looks = chromium.new_context(user_agent=person).new_page()
            looks.goto(f"http://127.0.0.1:{port}/mail", wait_until="networkidle")
    assert len(fetched) == 1
    # The guarded one comes himself.
    show(chromium, body_of(mails[GUARDED]), tmp_path, person, "198.51.100.1")
    told = told_when(
        waiting,
        indicia,
        lambda told: [len(told[who]) for who in PEOPLE] == [1, 2, 1, 3],
        "what each has done",
    )
    both = {one["type"]: one for one in told[WITHOUT]}
    clicked, inferred = both["email.clicked"], both["email.opened"]
    assert story(clicked) == ("email.clicked", "human_likely", False, True, 0)
    assert story(inferred) == ("email.opened", "human_likely", False, True, 0)
    assert inferred["inferred_from"] == clicked["event_id"]
    assert inferred["reasons"] == ["inferred_from_click"]
    (proxied,) = told[WEBMAIL]
    assert story(proxied) == ("email.opened", "proxy", False, True, 0)
    assert proxied["user_agent"] == GMAIL
    (seen,) = [one for one in told[GUARDED] if one["type"] == "email.opened"]
    assert story(seen) == ("email.opened", "human_likely", False, True, 0)
    assert [one for one in told[GUARDED] if one is not seen] == scanned

    assert read_feed(chromium, indicia) == FEED


def story(event: dict[str, Any]) -> tuple[Any, ...]:
    names = ("type", "classification", "machine", "first", "repeats")
    return tuple(event[name] for name in names)


def read_feed(browser: Any, indicia: Any) -> list[str]:
    """Return the lines of the feed, without its times."""
    feed = browser.new_page()
    feed.goto(re.search(r"http://\S+/login\S+", indicia.output())[0])  # type: ignore[index]
    feed.get_by_role("button").first.click()
    feed.wait_for_url(f"http://127.0.0.1:{indicia.console}/")
    lines = feed.inner_text("main").splitlines()
    told = lines[lines.index("bcc1@example.test") :]
    return [re.sub(r" (just now|\d+ \w+ ago)$", "", line) for line in told if line]
