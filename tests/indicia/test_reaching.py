import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from indicia.reaching import DESTINATION, Reached, reach_base
from ledger.token import HitKind, TokenKey, read_token

KEY = TokenKey(7, bytes(32))

Answer = tuple[int, str]
Start = Callable[..., str]


@pytest.fixture
def proxy() -> Iterator[Start]:
    """A host in front of a collector; it answers by path with a status and a Location."""
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def start(answer: Callable[[str], Answer], context: ssl.SSLContext | None = None) -> str:
        class Proxy(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                status, location = answer(self.path)
                self.send_response(status)
                self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Proxy)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def collector(path: str) -> Answer:
    """Answer as the collector does."""
    if path == "/healthz":
        return 200, ""
    token, _, destination = path.removeprefix("/c/").partition("/")
    read = read_token({7: KEY}, HitKind.CLICK, token.encode(), destination.encode())
    return (302, f"https://{destination}") if read else (404, "")


def test_a_link_that_leads_on_unaltered_is_good(proxy: Start) -> None:
    reached = reach_base(proxy(collector), KEY)
    assert reached == Reached(
        "127.0.0.1", good=True, text="the collector answers, and a link leads on unaltered"
    )
    assert reach_base(proxy(collector), None).good


@pytest.mark.parametrize(
    ("tidy", "told"),
    [
        (lambda path: path.replace("//", "/"), "alters its path, other keys are used"),
        (lambda path: path.replace("%2F", "/"), "alters its path, other keys are used"),
        (lambda path: path.partition("?")[0], "alters its path, other keys are used"),
    ],
)
def test_a_proxy_that_tidies_up_is_named(
    proxy: Start, tidy: Callable[[str], str], told: str
) -> None:
    reached = reach_base(proxy(lambda path: collector(tidy(path))), KEY)
    assert not reached.good
    assert told in reached.text
    assert "proxy_pass" in reached.mend


def test_a_link_that_leads_elsewhere_is_told(proxy: Start) -> None:
    elsewhere = proxy(lambda path: (200, "") if path == "/healthz" else (302, "https://x.example"))
    assert "leads to https://x.example, not to " in reach_base(elsewhere, KEY).text
    nowhere = proxy(lambda path: (200, "") if path == "/healthz" else (502, ""))
    assert "leads to status 502" in reach_base(nowhere, KEY).text


def test_another_server_there_is_told(proxy: Start) -> None:
    assert reach_base(proxy(lambda _: (404, "")), KEY).text == "/healthz answers 404, not 200"


def test_a_certificate_nobody_trusts_is_told(proxy: Start) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    reached = reach_base(proxy(collector, context), KEY)
    assert (reached.good, reached.silent) == (False, False)
    assert reached.text == "TLS failed: CERTIFICATE_VERIFY_FAILED"


def test_who_does_not_answer_is_silent() -> None:
    reached = reach_base("http://127.0.0.1:1", KEY)
    assert (reached.silent, reached.text) == (True, "no answer (Connection refused)")


def test_a_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_words: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    unknown = reach_base("https://t.example", KEY)
    assert unknown.text == "no address in DNS (Name or service not known)"


def test_the_destination_has_what_proxies_like_to_tidy_up() -> None:
    for piece in ("//", "%2F", "?", "%20", "+", "%7E", "%C3%A9", ";", "http://"):
        assert piece in DESTINATION
