"""Look-ups at a real nameserver on loopback, over UDP and TCP, with its faults."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from dns import message, rcode, rrset
from dns.asyncresolver import Resolver
from dns.flags import TC
from structlog.testing import capture_logs

from collector import gateways
from collector.again import judge_history
from collector.gateways import Gateways, Known, look_up, open_gateways
from ledger import schema
from ledger.histories import read_histories
from ledger.mode import TrackingMode

STRANGE = {"User-Agent": "Strange/1"}
ZONE: Mapping[str, Sequence[str]] = {
    "guarded.example.": ["10 mx.guarded.example.", "5 d1.a.ess.barracudanetworks.com."],
    "plain.example.": ["10 mx.plain.example."],
    "null.example.": ["0 ."],
    "example.com.": ["10 eu-smtp-inbound-1.mimecast.com."],
    "large.example.": [f"{n} mx{n}.large.example." for n in range(90)] + ["99 a.iphmx.com."],
}


@dataclass(slots=True)
class Nameserver(asyncio.DatagramProtocol):
    """Answers of the zone; the name's first label may ask for a fault."""

    port: int = 0
    ttl: int = 7200
    asked: Counter[str] = field(default_factory=Counter)
    types: set[str] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0
    let: asyncio.Event = field(default_factory=asyncio.Event)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.ensure_future(self.reply(data, addr))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def reply(self, data: bytes, addr: Any) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.let.wait()
        self.at_once -= 1
        if (answer := self.answer(data, over_udp=True)) is not None:
            self.transport.sendto(answer, addr)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(size), over_udp=False)
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        writer.close()

    def answer(self, data: bytes, *, over_udp: bool) -> bytes | None:
        query = message.from_wire(data)
        (question,) = query.question
        name = question.name.to_text()
        self.asked[name] += 1
        self.types.add(question.to_text().rpartition(" ")[2])
        fault = name.partition(".")[0]
        response = message.make_response(query)
        if fault == "silent":
            return None
        if fault == "garbage":
            return data[:2] + b"\xff" * 30
        if fault in ("lame", "broken"):
            response.set_rcode(rcode.REFUSED if fault == "lame" else rcode.SERVFAIL)
        elif fault == "cut" or (name == "large.example." and over_udp):
            response.flags |= TC
            return None if not over_udp else response.to_wire()
        elif name in ZONE:
            response.answer.append(rrset.from_text(name, self.ttl, "IN", "MX", *ZONE[name]))
        elif fault != "empty":
            response.set_rcode(rcode.NXDOMAIN)
        return response.to_wire(max_size=65_535)


@pytest.fixture
async def nameserver() -> AsyncIterator[Nameserver]:
    server = Nameserver()
    server.let.set()
    tcp = await asyncio.start_server(server.serve_tcp, "127.0.0.1", 0)
    server.port = tcp.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", server.port))
    yield server
    server.let.set()
    server.transport.close()
    tcp.close()
    await tcp.wait_closed()


@pytest.fixture
def resolver(nameserver: Nameserver, monkeypatch: pytest.MonkeyPatch) -> Resolver:
    monkeypatch.setattr(gateways, "LIMIT_S", 0.1)
    found = Resolver(configure=False)
    found.nameservers, found.port = ["127.0.0.1"], nameserver.port
    return found


@pytest.mark.parametrize(
    ("domain", "gateway", "lasts_s"),
    [
        ("guarded.example", "barracuda", 7200.0),
        ("plain.example", "", 7200.0),
        ("null.example", "", 7200.0),
        ("nowhere.example", "", gateways.NONE_S),
        ("empty.example", "", gateways.NONE_S),
        ("silent.example", "", gateways.AGAIN_S),
        ("lame.example", "", gateways.AGAIN_S),
        ("broken.example", "", gateways.AGAIN_S),
        ("garbage.example", "", gateways.AGAIN_S),
        ("cut.example", "", gateways.AGAIN_S),
        ("a..example", "", gateways.AGAIN_S),
        (f"{'a' * 64}.example", "", gateways.AGAIN_S),
        ("\N{SNOWMAN}\ud800.example", "", gateways.AGAIN_S),
    ],
)
async def test_what_an_answer_and_each_fault_of_a_nameserver_tells(
    resolver: Resolver, domain: str, gateway: str, lasts_s: float
) -> None:
    with capture_logs() as log:
        assert await look_up(resolver, domain) == Known(gateway, lasts_s)
    assert [one["event"] for one in log] == ["mx.unanswered"] * (lasts_s == gateways.AGAIN_S)
    assert all(one["log_level"] == "info" and domain not in str(one) for one in log)


async def test_a_cut_answer_is_fetched_by_tcp(resolver: Resolver, nameserver: Nameserver) -> None:
    assert (await look_up(resolver, "large.example")).gateway == "cisco"
    assert nameserver.asked["large.example."] == 2


@pytest.mark.parametrize(("ttl", "lasts_s"), [(0, 300.0), (900, 900.0), (604_800, 86_400.0)])
async def test_a_ttl_counts_within_bounds(
    resolver: Resolver, nameserver: Nameserver, ttl: int, lasts_s: float
) -> None:
    nameserver.ttl = ttl
    assert (await look_up(resolver, "guarded.example")).lasts_s == lasts_s


@pytest.fixture
async def known(resolver: Resolver) -> AsyncIterator[Gateways]:
    found = Gateways(resolver)
    following = asyncio.create_task(found.follow())
    yield found
    found.stop()
    await following


async def test_a_domain_is_asked_for_once_and_from_any_thread(
    known: Gateways, nameserver: Nameserver, until: Any
) -> None:
    assert known.gateway("guarded.example") == ""

    async def look() -> str:
        return await asyncio.to_thread(known.gateway, "guarded.example")

    assert await until(look, bool) == "barracuda"
    assert [await look() for _ in range(50)] == ["barracuda"] * 50
    assert nameserver.asked == {"guarded.example.": 1}
    assert nameserver.types == {"MX"}


async def test_that_there_is_none_is_remembered_too_and_what_is_over_is_asked_anew(
    known: Gateways, nameserver: Nameserver, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> tuple[str, int]:
        return known.gateway("nowhere.example"), nameserver.asked["nowhere.example."]

    monkeypatch.setattr(gateways, "NONE_S", 0.0)
    await until(look, lambda told: told[1] >= 3)
    monkeypatch.setattr(gateways, "NONE_S", 60.0)
    await until(look, lambda _: monotonic() < known._known["nowhere.example"][1])
    before = nameserver.asked["nowhere.example."]
    assert [await look() for _ in range(50)] == [("", before)] * 50


async def test_few_are_asked_at_once_and_what_waits_and_is_known_is_bounded(
    known: Gateways, nameserver: Nameserver, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "LIMIT_S", 5.0)
    monkeypatch.setattr(gateways, "MAX_KNOWN", 10)
    nameserver.let.clear()
    for number in range(gateways.MAX_WAITING + 500):
        known.gateway(f"d{number}.example")

    async def asked() -> int:
        return nameserver.at_once

    await until(asked, lambda count: count >= gateways.AT_ONCE)
    nameserver.let.set()

    async def busy() -> int:
        return known._waiting.qsize() + len(known._asked)

    await until(busy, lambda count: count == 0)
    assert nameserver.most_at_once == gateways.AT_ONCE
    assert nameserver.asked.total() == gateways.MAX_WAITING
    assert len(known._known) == 10


async def test_stopping_does_not_wait_for_an_answer(
    resolver: Resolver, nameserver: Nameserver, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "LIMIT_S", 60.0)
    known = Gateways(resolver)
    following = asyncio.create_task(known.follow())
    known.gateway("silent.example")

    async def asked() -> int:
        return nameserver.asked.total()

    await until(asked, bool)
    known.stop()
    await asyncio.wait_for(following, 1.0)


@pytest.mark.parametrize("said", [None, "", "search example.org\n", "nameserver ns.example\n"])
async def test_without_a_nameserver_it_is_told_and_nothing_is_asked(
    said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    if said is not None:
        (tmp_path / "resolv.conf").write_text(said)
    with capture_logs() as log:
        assert open_gateways() is None
    assert [(one["event"], "mx_lookups = false" in one["why"]) for one in log] == [("mx.off", True)]


async def test_the_system_says_who_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    found = open_gateways()
    assert found is not None
    assert found._resolver.nameservers == ["192.0.2.53"]


async def ask_until_known(house: Any, until: Any, start: int) -> Any:
    """Ask for new copies, until the hit of one is kept with its gateway."""
    copy_ids = [start]

    async def look() -> Any:
        copy_ids.append(copy_ids[-1] + 1)
        await house.send(copy_ids[-1], recipients=["anna@example.com"])
        await house.ask(house.pixel(copy_ids[-1]), STRANGE)
        await house.events_when(copy_ids[-1] - start)
        rows = await house.rows(schema.hits)
        return next((row for row in rows if "gateway" in row.features), None)

    return await until(look, lambda row: row is not None)


@pytest.fixture
def asking(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.app.open_gateways", lambda: Gateways(resolver))


@pytest.mark.usefixtures("asking")
async def test_a_hit_is_judged_by_the_gateway_that_is_known_by_then_and_keeps_it(
    house: Any, serve: Any, until: Any, nameserver: Nameserver
) -> None:
    async with serve(house, collector={"mx_lookups": True}):
        row = await ask_until_known(house, until, 0)
        events = await house.events()
    assert row.features["gateway"] == "mimecast"
    (judged,) = [one for one in events if one.event_id == row.hit_id]
    assert "mx_gateway" in judged.reasons
    assert judged.classification == "unknown"
    assert all("mx_gateway" not in one.reasons for one in events if one.event_id != row.hit_id)
    assert nameserver.asked == {"example.com.": 1}
    async with house.stores.ledger.read() as connection:
        histories = await connection.run_sync(read_histories, None, -1, len(events))
    assert [judge_history(one, datetime.now(UTC)) for one in histories] == [[]] * len(events)


@pytest.mark.usefixtures("asking")
async def test_nobody_waits_for_a_nameserver_that_says_nothing(
    house: Any, serve: Any, nameserver: Nameserver
) -> None:
    nameserver.let.clear()
    async with serve(house, collector={"mx_lookups": True}):
        await house.send(1, recipients=["anna@example.com"])
        await house.ask(house.pixel(1), STRANGE)
        (event,) = await house.events_when(1)
    assert "mx_gateway" not in event.reasons


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize(
    ("copy", "collector"),
    [
        ({"recipients": ["anna@example.com"]}, {}),
        (
            {"recipients": ["anna@example.com"], "mode": TrackingMode.ANONYMOUS},
            {"mx_lookups": True},
        ),
        ({"recipients": ["a@example.com", "b@guarded.example"]}, {"mx_lookups": True}),
    ],
    ids=["by default", "anonymous", "of several domains"],
)
async def test_nothing_is_asked(
    house: Any, serve: Any, nameserver: Nameserver, copy: Any, collector: Any
) -> None:
    async with serve(house, collector=collector):
        await house.send(1, **copy)
        await house.ask(house.pixel(1), STRANGE)
        await house.events_when(1)
    assert nameserver.asked.total() == 0
