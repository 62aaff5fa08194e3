"""The whole relay: sockets in, sockets out, both stores on disk."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from config.settings import Settings
from ledger import schema
from ledger.keys import KeyRing, load_keys
from ledger.migrate import StoreError, Stores, open_stores
from ledger.spooled import captured_copy, list_captured
from relay import app
from relay.app import run_relay
from relay.lessee import hold_name
from relay.pack import pack_template
from relay.template import Template

PATIENCE_S = 10


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Build settings whose state is in the test's folder; a relay listens on any free port."""

    def build(**options: Any) -> Settings:
        relay = {"listen": ["127.0.0.1:0"]} | options.pop("relay", {})
        return Settings(
            server={"state_dir": tmp_path, "hostname": "relay.test"}, relay=relay, **options
        )

    return build


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[int, Stores]]:
    stores = await open_stores(settings.database.url, settings.database.spool_url)
    keys: KeyRing = load_keys(settings.keys_dir)
    try:
        async with asyncio.timeout(PATIENCE_S), run_relay(settings, stores, keys) as (port,):
            yield port, stores
    finally:
        await stores.close()


def offer(body: str = '<p>See <a href="https://shop.example/x">our offer</a></p>') -> EmailMessage:
    message = EmailMessage()
    message["From"] = "alice@example.com"
    message["To"] = "bob@example.org"
    message["Bcc"] = "carol@example.org"
    message["Subject"] = "An offer"
    message.set_content(body, subtype="html")
    return message


def send(port: int, message: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        client.sendmail(
            "alice@example.com", ["bob@example.org", "carol@example.org"], bytes(message)
        )


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    while not await reached():  # noqa: ASYNC110 - it looks into a database
        await asyncio.sleep(0.02)


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def count(stores: Stores, table: Any, *, ledger: bool = False) -> int:
    async with (stores.ledger if ledger else stores.spool).read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_without_upstream_each_copy_is_captured_and_the_ledger_told(
    settings: Callable[..., Settings],
) -> None:
    async with running(settings()) as (port, stores):
        await asyncio.to_thread(send, port, offer())

        async def told() -> bool:
            # accepted and relayed, for two recipients
            return await count(stores, schema.events, ledger=True) == 4

        await until(told)
        async with stores.spool.read() as connection:
            captured = await list_captured(connection, 10)
            raws = [await captured_copy(connection, copy.copy_id) for copy in captured]
        assert {copy.recipients for copy in captured} == {
            (("to", "bob@example.org"),),
            (("bcc", "carol@example.org"),),
        }
        assert all(raw is not None and b"carol" not in raw.raw for raw in raws)
        assert await count(stores, schema.spooled_sends) == 0


async def test_with_an_upstream_each_copy_goes_there(
    settings: Callable[..., Settings], fake_upstream: Callable[..., Any]
) -> None:
    upstream = await fake_upstream()
    there = {"host": "127.0.0.1", "port": upstream.port, "tls": "none"}
    async with running(settings(upstream=[there])) as (port, stores):
        await asyncio.to_thread(send, port, offer())

        async def settled() -> bool:
            return not await count(stores, schema.spooled_copies)

        await until(settled)
    assert sorted(taken.recipients for taken in upstream.taken) == [
        ("bob@example.org",),
        ("carol@example.org",),
    ]
    assert {taken.sender for taken in upstream.taken} == {"alice@example.com"}


async def test_mail_flows_while_the_ledger_is_locked(settings: Callable[..., Settings]) -> None:
    async with running(settings()) as (port, stores):
        async with stores.ledger.write():
            await asyncio.to_thread(send, port, offer())

            async def captured() -> bool:
                return await count(stores, schema.captured_copies) == 2

            await until(captured)

        async def told() -> bool:
            return await count(stores, schema.events, ledger=True) == 4

        await until(told)


async def test_what_was_not_delivered_is_delivered_by_the_next_start(
    settings: Callable[..., Settings], fake_upstream: Callable[..., Any]
) -> None:
    upstream = await fake_upstream(says={"RCPT": lambda _: b"451 4.3.0 later\r\n"})
    there = {"host": "127.0.0.1", "port": upstream.port, "tls": "none"}
    options = settings(upstream=[there], retry={"first_after_s": 1, "max_after_s": 1})
    async with running(options) as (port, _):
        await asyncio.to_thread(send, port, offer())
    upstream.says.clear()
    async with running(options) as (_, stores):

        async def settled() -> bool:
            return not await count(stores, schema.spooled_copies)

        await until(settled)
    assert len(upstream.taken) == 2


async def test_a_stop_lets_a_transaction_end_and_takes_no_more(
    settings: Callable[..., Settings],
) -> None:
    async with running(settings()) as (port, stores):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"EHLO x\r\n")
        await reader.readuntil(b"ENHANCEDSTATUSCODES\r\n")
        writer.write(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
        await reader.readuntil(b"354 End data with <CR><LF>.<CR><LF>\r\n")

        async def finish() -> bytes:
            await until(lambda: refuses(port))
            writer.write(b"x\r\n.\r\n")
            return await reader.read()

        finishing = asyncio.ensure_future(finish())
    replies = (await finishing).splitlines()
    assert replies[0].startswith(b"250 2.0.0 OK ")
    assert replies[1].startswith(b"421 4.3.2")
    writer.close()
    assert stores


async def test_an_address_in_use_is_told_and_nothing_stays_behind(
    settings: Callable[..., Settings],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = settings(relay={"listen": [f"127.0.0.1:{taken.getsockname()[1]}"]})
        with pytest.raises(OSError, match="address already in use"):
            async with running(options):
                pass
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_part_that_breaks_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_RESTART_S", 0)
    runs: list[int] = []

    async def breaks_once() -> None:
        runs.append(1)
        if len(runs) == 1:
            msg = "a fault of ours"
            raise RuntimeError(msg)

    with capture_logs() as logs:
        await app._keep_running("dispatch", breaks_once)
    assert len(runs) == 2
    assert [(line["event"], line["part"]) for line in logs] == [("part.broken", "dispatch")]


async def test_what_a_killed_relay_was_trying_is_free_at_once(
    settings: Callable[..., Settings], put_in_queue: Any, tmp_path: Path
) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    stores = await open_stores(settings().database.url, settings().database.spool_url)
    leased = {"lease": "L", "leased_until": ahead, "due_at": ahead, "mode": "off"}
    template = pack_template(Template(b"Subject: x\r\n\r\nHello\r\n", (), ""))
    await put_in_queue(stores.spool, 1, lessee="DEAD", template=template, **leased)
    await put_in_queue(stores.spool, 2, lessee="ALIVE", template=template, **leased)
    await stores.close()
    folder = tmp_path / "relays"
    folder.mkdir()
    (folder / "DEAD.lock").touch()
    with hold_name(folder, "ALIVE"), capture_logs() as logs:
        async with running(settings()) as (_, stores):

            async def is_captured() -> bool:
                async with stores.spool.read() as connection:
                    return [one.copy_id for one in await list_captured(connection, 10)] == [1]

            await until(is_captured)
            assert not (folder / "DEAD.lock").exists()
        assert [line["copies"] for line in logs if line["event"] == "leases.freed"] == [1]
        assert sorted(file.stem for file in folder.iterdir()) == ["ALIVE"]


async def test_a_state_dir_that_can_not_be_written_is_told(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "relays").touch()
    with pytest.raises(StoreError, match=r"relays can not be used .*let the relay write"):
        async with running(settings()):
            pass
