"""Links clicked in Chromium: at the collector itself, through nginx and through Caddy.

The links are those of tests/links/round_trip.py.  Where Chromium says that a link of the mail as it
was sent leads, there its tracked form must lead, too.  A proxy that alters paths must lead there by
the stored link, or to the page that says no.
"""

import email
import email.policy
import http.client
import json
import os
import pwd
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

pytestmark = pytest.mark.daemon

ROUND_TRIP = Path(__file__).resolve().parents[1] / "links" / "round_trip.py"
CLICKS = 200
FAITHFUL = ("straight", "nginx", "caddy")
ALTERING = ("nginx-uri", "caddy-merges")
PROXIES = (*FAITHFUL[1:], *ALTERING)

_NGINX = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{plain};
    location / {{ proxy_pass http://127.0.0.1:{collector}; }}
  }}
  # A URI after the host: nginx decodes the path, merges slashes and encodes it anew.
  server {{
    listen 127.0.0.1:{uri};
    location / {{ proxy_pass http://127.0.0.1:{collector}/; }}
  }}
}}
"""

_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}
}}
http://127.0.0.1:{plain} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{collector}
}}
http://127.0.0.1:{merges} {{
  bind 127.0.0.1
  uri path_regexp //+ /
  reverse_proxy 127.0.0.1:{collector}
}}
"""


@dataclass
class Sink:
    """An upstream that keeps what it is given, by reverse-path."""

    taken: dict[str, bytes] = field(default_factory=dict)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.taken[str(envelope.mail_from)] = envelope.content
        return "250 2.0.0 taken"


@pytest.fixture
def sink(ports: Callable[[], int]) -> Iterator[tuple[Sink, int]]:
    kept, port = Sink(), ports()
    controller = Controller(kept, hostname="127.0.0.1", port=port, ready_timeout=10)
    controller.start()
    yield kept, port
    controller.stop()


@dataclass(frozen=True)
class Tracked:
    """One mail's links, and where each proxy's copy of it is read."""

    html: str
    copies: dict[str, str]
    """HTML by proxy."""


@pytest.fixture
def tracked(
    sink: tuple[Sink, int],
    start_indicia: Callable[..., Any],
    ports: Callable[[], int],
    waiting: Callable[..., Any],
    tmp_path: Path,
) -> Iterator[Tracked]:
    missing = [name for name in ("nginx", "caddy") if not _which(name)]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} (Debian packages nginx-light, caddy)")
    port = {name: ports() for name in PROXIES}
    hosts = "".join(
        f'[[tracking_host]]\nsenders = ["*@{name}.test"]\nbase_url = "http://127.0.0.1:{port[name]}"\n'
        for name in PROXIES
    )
    kept, upstream = sink
    indicia = start_indicia(
        f'[[upstream]]\nname = "sink"\nhost = "127.0.0.1"\nport = {upstream}\ntls = "none"\n',
        f"skip_url_text = false\n{hosts}",
    )
    running = [
        _start_nginx(tmp_path, indicia.collector, port),
        _start_caddy(tmp_path, indicia.collector, port),
    ]
    try:
        for name, at in port.items():
            waiting(lambda at=at: _answers(at), 20, f"{name} answers")
        html = _html()
        for name in ("straight", *PROXIES):
            _send(indicia.smtp, f"ann@{name}.test", html)
        waiting(lambda: len(kept.taken) == len(PROXIES) + 1, 30, "all copies")
        copies = {sender[4:-5]: _html_of(raw) for sender, raw in kept.taken.items()}
        yield Tracked(html, copies)
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def _which(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _start_nginx(folder: Path, collector: int, port: dict[str, int]) -> subprocess.Popen[bytes]:
    text = _NGINX.format(
        user=pwd.getpwuid(os.geteuid()).pw_name,
        folder=folder,
        collector=collector,
        plain=port["nginx"],
        uri=port["nginx-uri"],
    )
    (folder / "nginx.conf").write_text(text)
    words = [str(_which("nginx")), "-p", folder, "-e", folder / "nginx.log", "-c"]
    with (folder / "nginx.txt").open("ab") as output:
        return subprocess.Popen([*words, folder / "nginx.conf"], stdout=output, stderr=output)


def _start_caddy(folder: Path, collector: int, port: dict[str, int]) -> subprocess.Popen[bytes]:
    text = _CADDY.format(
        folder=folder, collector=collector, plain=port["caddy"], merges=port["caddy-merges"]
    )
    (folder / "Caddyfile").write_text(text)
    words = [str(_which("caddy")), "run", "--adapter", "caddyfile", "--config"]
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "caddy.txt").open("ab") as output:
        return subprocess.Popen(
            [*words, folder / "Caddyfile"], stdout=output, stderr=output, env={**os.environ, **home}
        )


_LOCAL = ("127.0.0.1", "0x7f", "2130706433", "localhost", "[::1]", "1.2.3.4.5")


def _html() -> str:
    """Return a page with CLICKS links, none of them to this machine or a port no browser opens."""
    done = subprocess.run(
        [sys.executable, ROUND_TRIP, str(CLICKS * 2), "--hrefs", "--seed", "7"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    hrefs = [
        (href, quote)
        for href, quote in json.loads(done.stdout)
        if not any(local in href for local in (*_LOCAL, ":0", ":65535"))
    ]
    assert len(hrefs) >= CLICKS
    body = "\n".join(f"<a href={quote}{href}{quote}>w</a>" for href, quote in hrefs[:CLICKS])
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>\n'
    )


def _send(port: int, sender: str, html: str) -> None:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = "bob@example.test"
    message["Subject"] = "links"
    message.set_content(html, subtype="html", cte="base64")
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.send_message(message, from_addr=sender, to_addrs=["bob@example.test"])


def _html_of(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    assert body is not None
    return str(body.get_content())


def _hrefs(page: Any, html: str) -> list[str]:
    """The links of a page, as Chromium understands them."""
    page.set_content(html, wait_until="domcontentloaded")
    return list(page.evaluate("[...document.links].map(link => link.href)"))


class _Clicker:
    """A page whose links are clicked; what they lead to answers 204, so the page stays."""

    def __init__(self, browser: Any, html: str, base: str) -> None:
        self.page = browser.new_page()
        self.hrefs = _hrefs(self.page, html)
        self.base = base
        self.asked: list[str] = []
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.on("Fetch.requestPaused", self._paused)
        # Unlike Playwright's routes, these see what a redirect leads to.
        self.session.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})

    def click(self, number: int, waiting: Callable[..., Any]) -> str:
        """Return the last URL that is asked for."""
        self.asked.clear()
        self.page.evaluate("number => document.links[number].click()", number)
        waiting(self._elsewhere, 10, f"an answer to {self.hrefs[number]}")
        assert self.asked[0] == self.hrefs[number]
        return self.asked[-1].removesuffix("#")

    def _elsewhere(self) -> bool:
        self.page.wait_for_timeout(1)  # lets events come in
        return bool(self.asked) and not self.asked[-1].startswith(self.base)

    def _paused(self, event: dict[str, Any]) -> None:
        request = event["request"]
        self.asked.append(request["url"] + request.get("urlFragment", ""))
        given = {"requestId": event["requestId"]}
        if self.asked[-1].startswith(self.base):
            self.session.send("Fetch.continueRequest", given)
        else:
            self.session.send("Fetch.fulfillRequest", {**given, "responseCode": 204})


def test_clicked_links_lead_where_chromium_says_that_they_lead(
    tracked: Tracked, chromium: Any, waiting: Callable[..., Any]
) -> None:
    wanted = _hrefs(chromium.new_page(), tracked.html)
    assert len(wanted) == CLICKS
    elsewhere = []
    for name in FAITHFUL:
        html = tracked.copies[name].replace("<img ", "<i ")  # opens are another test's
        base = html[html.index("http://127.0.0.1:") :].partition("/c/")[0] + "/"
        clicker = _Clicker(chromium, html, base)
        assert all(href.startswith(f"{base}c/") for href in clicker.hrefs), name
        for number, href in enumerate(wanted):
            led = clicker.click(number, waiting)
            if led != href.removesuffix("#"):  # Chromium carries no empty fragment over
                elsewhere.append((name, href, led))
    assert elsewhere == []


def _location(href: str) -> tuple[int, str]:
    """Ask as a browser does; what follows `#` stays with it."""
    ours = urlsplit(href)
    connection = http.client.HTTPConnection(ours.netloc, timeout=10)
    target = href.partition("#")[0].partition(ours.netloc)[2]
    connection.putrequest("GET", target, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    location = answer.headers.get("Location", "")
    connection.close()
    _, mark, fragment = href.partition("#")
    return answer.status, location + mark + fragment if location else ""


def test_a_proxy_that_alters_paths_leads_there_or_nowhere(tracked: Tracked, chromium: Any) -> None:
    page = chromium.new_page()
    page.route("**/o/*.gif", lambda route: route.abort())
    wanted = _hrefs(page, tracked.html)
    for name in (*FAITHFUL, *ALTERING):
        told = [_location(href) for href in _hrefs(page, tracked.copies[name])]
        led = [number for number, (status, _) in enumerate(told) if status == 302]
        # Chromium spells a location as it spells a link.
        ends = page.evaluate(
            "urls => urls.map(url => new URL(url).href)", [told[number][1] for number in led]
        )
        assert ends == [wanted[number] for number in led], name
        others = {status for status, _ in told if status != 302}
        assert others <= ({400, 404} if name in ALTERING else set()), name
        assert len(led) > CLICKS // 2, name
