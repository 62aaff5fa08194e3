"""No connection is made inside, by whatever name; what comes back is bounded and not followed."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence

import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from collector import outward
from collector.outward import Outward


class Names(AbstractResolver):
    """A nameserver that gives another answer each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for one in found
        ]

    async def close(self) -> None:
        return


class Receiver:
    """A server on loopback, and how often it was reached."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked: list[web.Request] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        match request.path:
            case "/redirect":
                return web.Response(status=302, headers={"Location": "/elsewhere"})
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                try:
                    while True:
                        await response.write(b"x" * 65_536)
                except (ConnectionError, asyncio.CancelledError):
                    return response
            case "/silent":
                await asyncio.sleep(60)
            case "/cookie":
                cookie = web.Response()
                cookie.set_cookie("a", "b")
                return cookie
            case "/nobody":
                return web.Response(status=204)
        return web.Response(text="thanks")


async def serve(receiver: Receiver, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    application = web.Application()
    application.router.add_route("*", "/{any:.*}", receiver.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    receiver.port = runner.addresses[0][1]
    return runner


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    runner = await serve(found)
    yield found
    await runner.cleanup()


async def post(url: str, resolver: AbstractResolver | None = None, *, private: bool) -> int | str:
    way = Outward(private=private, resolver=resolver)
    try:
        return await way.post(url, {"webhook-id": "msg_1"}, b"{}")
    finally:
        await way.close()


LOOPBACKS = [
    "127.0.0.1",
    "127.1.2.3",
    "127.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.0.1",
    "%31%32%37.0.0.1",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
]


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_no_spelling_of_a_private_address_is_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    opened: list[object] = []

    def note(info: object) -> socket.socket:
        opened.append(info)
        raise AssertionError

    monkeypatch.setattr(outward, "_open_socket", note)
    answer = await post(f"http://{host}:{receiver.port}/", private=False)
    assert isinstance(answer, str)
    assert opened == []
    assert receiver.asked == []


INSIDE = [
    ["127.0.0.1"],
    ["8.8.8.8", "127.0.0.1"],  # one of them is enough
    ["2606:4700::1111", "::1"],
    ["::ffff:127.0.0.1"],
    ["fe80::1%1"],
    ["169.254.169.254"],
    ["no address at all"],
]


@pytest.mark.parametrize("answer", INSIDE)
async def test_a_name_that_leads_inside_is_not_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(outward, "_open_socket", opened.append)
    said = await post(f"http://x.example:{receiver.port}/", Names(answer), private=False)
    assert str(said).endswith("which is no public address")
    assert opened == []


async def test_a_name_that_is_bound_anew_is_not_asked_again_for_the_same_post(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is public: what is connected to is that, not what the name says next."""
    opened: list[tuple[object, ...]] = []

    def note(info: tuple[object, ...]) -> socket.socket:
        opened.append(info)
        raise OSError(111, "refused")

    monkeypatch.setattr(outward, "_open_socket", note)
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    way = Outward(private=False, resolver=names)
    url = f"http://rebind.example:{receiver.port}/"
    assert isinstance(await way.post(url, {}, b"{}"), str)
    assert [info[4] for info in opened] == [("93.184.216.34", receiver.port)]
    assert names.asked == 1
    said = await way.post(url, {}, b"{}")
    assert said == "leads to 127.0.0.1, which is no public address"
    assert len(opened) == 1
    assert receiver.asked == []
    await way.close()


async def test_with_leave_a_private_address_is_told(receiver: Receiver) -> None:
    assert await post(f"http://127.0.0.1:{receiver.port}/a%2Fb?c=d", private=True) == 200
    (asked,) = receiver.asked
    assert asked.raw_path == "/a%2Fb?c=d"
    assert asked.headers["webhook-id"] == "msg_1"
    assert asked.headers["Content-Type"] == "application/json"


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    assert await post(f"http://127.0.0.1:{receiver.port}/redirect", private=True) == 302
    assert len(receiver.asked) == 1


async def test_an_endless_answer_is_cut_off(receiver: Receiver) -> None:
    async with asyncio.timeout(5):
        assert await post(f"http://127.0.0.1:{receiver.port}/endless", private=True) == 200


async def test_an_empty_answer_is_an_answer(receiver: Receiver) -> None:
    assert await post(f"http://127.0.0.1:{receiver.port}/nobody", private=True) == 204


async def test_who_is_silent_is_not_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outward, "LIMIT_S", 0.2)
    said = await post(f"http://127.0.0.1:{receiver.port}/silent", private=True)
    assert said == "no answer within 0 s"


async def test_cookies_are_not_kept(receiver: Receiver) -> None:
    way = Outward(private=True)
    for _ in range(2):
        await way.post(f"http://127.0.0.1:{receiver.port}/cookie", {}, b"{}")
    await way.close()
    assert "Cookie" not in receiver.asked[1].headers


async def test_no_proxy_of_the_environment_connects_for_us(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{receiver.port}")
    said = await post("http://nowhere.invalid/", Names(["127.0.0.1"]), private=False)
    assert said == "leads to 127.0.0.1, which is no public address"
    assert receiver.asked == []


async def test_what_goes_wrong_is_told_in_words_of_ours(receiver: Receiver) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        said = await post(f"http://127.0.0.1:{port}/", private=True)
    assert said == "connection refused"

    class Nameless(ThreadedResolver):
        async def resolve(self, *_given: object, **_named: object) -> list[ResolveResult]:
            raise OSError(None, "no such name")

    assert await post("http://x.example/", Nameless(), private=True) == "its name does not resolve"
    # It speaks no TLS.
    said = await post(f"https://127.0.0.1:{receiver.port}/", private=True)
    assert isinstance(said, str)
    assert said


async def test_a_certificate_is_looked_at() -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("hooks.example").configure_cert(tls)
    receiver = Receiver()
    runner = await serve(receiver, tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    names = Names(["127.0.0.1"])
    for host, trust, answer in (
        ("hooks.example", trusting, 200),
        ("other.example", trusting, "its certificate is not valid"),
        ("hooks.example", None, "its certificate is not valid"),
    ):
        way = Outward(private=True, resolver=names, tls=trust)
        assert await way.post(f"https://{host}:{receiver.port}/", {}, b"{}") == answer
        await way.close()
    assert len(receiver.asked) == 1
    await runner.cleanup()
