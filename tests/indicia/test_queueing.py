"""`indicia queue`, over real stores: what it lists, does, refuses and asks."""

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.settings import Settings
from indicia import queueing
from indicia.failure import NOT_HELD, USAGE, Failure
from indicia.main import app
from indicia.queueing import Meant, read_filter
from ledger.audit import select_audit
from ledger.migrate import open_stores
from ledger.queue import QueueFilter, Waiting, list_queue

HOUR = timedelta(hours=1)


@dataclass
class Queue:
    """A sandbox's queue, and the command beside it."""

    settings: Settings
    put_in_queue: Callable[..., Any]

    def put(self, copy_id: int, **values: Any) -> str:
        async def put() -> str:
            database = self.settings.database
            stores = await open_stores(database.url, database.spool_url)
            send_id: str = await self.put_in_queue(stores.spool, copy_id, **values)
            await stores.close()
            return send_id

        return asyncio.run(put())

    def left(self) -> dict[int, Any]:
        async def read() -> dict[int, Any]:
            database = self.settings.database
            stores = await open_stores(database.url, database.spool_url)
            async with stores.spool.read() as connection:
                found = {one.copy_id: one for one in await list_queue(connection, 100)}
            await stores.close()
            return found

        return asyncio.run(read())

    def audited(self) -> list[tuple[str, dict[str, object]]]:
        async def read() -> list[tuple[str, dict[str, object]]]:
            database = self.settings.database
            stores = await open_stores(database.url, database.spool_url)
            async with stores.ledger.read() as connection:
                rows = await select_audit(connection, limit=10)
            await stores.close()
            return [(row.entry.action, dict(row.entry.detail)) for row in rows]

        return asyncio.run(read())

    def call(self, *words: str, typed: str | None = None) -> tuple[int, str]:
        """Return the exit status and all that was printed."""
        done = CliRunner().invoke(app, ["queue", *words], input=typed)
        if isinstance(done.exception, Failure):
            return done.exception.status, f"{done.output}{done.exception}"
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output


@pytest.fixture(scope="module")
def empty_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stores that are migrated, which takes longer than all else here."""
    folder = tmp_path_factory.mktemp("stores")
    settings = Settings(server={"state_dir": folder})

    async def make() -> None:
        database = settings.database
        await (await open_stores(database.url, database.spool_url)).close()

    asyncio.run(make())
    return folder


@pytest.fixture
def queue(
    sandbox: Settings,
    empty_stores: Path,
    put_in_queue: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Queue:
    shutil.copytree(empty_stores, sandbox.server.state_dir)
    monkeypatch.chdir(sandbox.server.state_dir.parent)
    return Queue(sandbox, put_in_queue)


def test_an_empty_queue_is_told(queue: Queue) -> None:
    assert queue.call() == (0, "nothing waits\n")
    assert queue.call("list", "--recipient", "example.org") == (0, "nothing in the queue matches\n")
    assert queue.call("--json") == (0, "")


def test_a_line_tells_who_waits_since_when_and_why(queue: Queue) -> None:
    now = datetime.now(UTC)
    queue.put(
        5,
        received_at=now - 3 * HOUR,
        due_at=now + 0.9 * HOUR,
        attempts=4,
        recipients=("bob@example.org", "carol@example.org"),
        reply="451 4.7.1 Greylisted\x1b[31m",
    )
    queue.put(6, sender=None, held=True, fate="dead", received_at=now - 49 * HOUR)
    status, told = queue.call()
    head, first, second, summary = told.splitlines()
    assert (status, head.split()[0]) == (0, "copy")
    assert first.split() == [
        *("5", "deferred", "3h", "in", "53m", "4", "bob@example.org", "+1"),
        *("ann@sender.example", "451", "4.7.1", "Greylisted\N{REPLACEMENT CHARACTER}[31m"),
    ]
    assert second.split() == ["6", "dead", "2d", "0", "bob@example.org", "<>"]
    assert summary == "2 copies: 1 deferred, 1 dead"


def test_json_tells_all_that_is_known(queue: Queue) -> None:
    at = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    send_id = queue.put(
        5, received_at=at, due_at=at, tried_at=at, attempts=1, upstream="u", reply="451 x"
    )
    status, told = queue.call("list", "--json")
    assert (status, json.loads(told)) == (
        0,
        {
            "copy_id": "5",
            "send_id": send_id,
            "waiting": "deferred",
            "received_at": "2026-11-24T08:00:00.000Z",
            "sender": "ann@sender.example",
            "subject": "Number 5",
            "message_id": "5@sender.example",
            "mode": "off",
            "attempts": 1,
            "tried_at": "2026-11-24T08:00:00.000Z",
            "due_at": "2026-11-24T08:00:00.000Z",
            "upstream": "u",
            "reply": "451 x",
            "recipients": [
                {
                    "recipient": "bob@example.org",
                    "recipient_type": "to",
                    "state": "pending",
                    "reply": "451 x",
                }
            ],
        },
    )


def test_show_tells_one_copy_in_full(queue: Queue) -> None:
    at = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    send_id = queue.put(5, tried_at=at, upstream="default", attempts=2, reply="451 later")
    queue.put(6, leased_until=datetime.now(UTC) + HOUR)
    status, told = queue.call("show", send_id)
    assert status == 0
    for words in ("deferred", "2026-11-24 08:00:00 UTC", "default", "451 later", "bob@example.org"):
        assert words in told
    status, told = queue.call("show", "6", "5")
    assert [line for line in told.splitlines() if line.startswith("why")] == [
        "why           deferred",
        "why           under way",
    ]
    assert json.loads(queue.call("show", "5", "--json")[1])["send_id"] == send_id


def test_what_is_not_there_is_told(queue: Queue) -> None:
    for words in (["show", "99"], ["retry", "99"], ["drop", "99"]):
        status, told = queue.call(*words)
        assert (status, "nothing in the queue matches" in told) == (NOT_HELD, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["retry"], "an option such as --recipient, or --all"),
        (["show"], "say which"),
        (["show", "no-id"], "no-id is no ID"),
        (["--waiting", "bored"], "write one of new, deferred, under_way, held, dropped, dead"),
        (["--older", "soon"], "--older 'soon'"),
    ],
)
def test_what_is_not_understood_is_refused(queue: Queue, words: list[str], told: str) -> None:
    queue.put(5)
    status, output = queue.call(*words)
    assert (status, told in output) == (USAGE, True)


def test_the_words_of_a_command_are_a_filter() -> None:
    send_id = "01ARYZ6S410000000000000000"
    wanted = read_filter(Meant(("7", send_id), None, "b", "s", "r", "u", ("under-way",)))
    assert wanted == QueueFilter(
        (7,), (send_id,), None, "b", "s", "r", "u", frozenset({Waiting.UNDER_WAY})
    )
    older = read_filter(Meant(older="2h")).received_before
    assert older is not None
    assert abs(datetime.now(UTC) - 2 * HOUR - older) < timedelta(minutes=1)


def test_actions_reach_what_is_meant_and_nothing_else(queue: Queue) -> None:
    for copy_id in (1, 2, 3):
        queue.put(copy_id, recipients=(f"b{copy_id}@example.org",), attempts=1, reply="451 4.7.1 x")
    assert queue.call("hold", "--recipient", "b1@*") == (0, "held 1 copy\n")
    assert queue.call("hold", "--reply", "4.7.1") == (
        0,
        "left 1 copy (nothing to do, it was so before or was given up)\nheld 2 copies\n",
    )
    status, told = queue.call("retry", "1")
    assert (status, "not done: it is held, so release it first" in told) == (NOT_HELD, True)
    assert queue.call("release", "--all") == (0, "released 3 copies\n")
    assert {copy.held for copy in queue.left().values()} == {False}
    assert queue.call("drop", "2", "--yes") == (0, "dropped 1 copy\n")
    assert sorted(queue.left()) == [1, 3]
    status, told = queue.call("drop", "3", "--bounce", "--yes", "--json")
    assert json.loads(told) == {
        "copy_id": "3",
        "send_id": queue.left()[3].send_id,
        "action": "bounced",
        "result": "by_relay",
    }
    assert [action for action, _ in queue.audited()] == [
        *("queue.bounced", "queue.dropped", "queue.released", "queue.held", "queue.held"),
    ]
    assert queue.audited()[2] == ("queue.released", {"copies": 3, "messages": 3})


def test_what_is_being_tried_is_told(queue: Queue) -> None:
    queue.put(1, leased_until=datetime.now(UTC) + HOUR, lease="L")
    assert queue.call("retry", "1") == (0, "left 1 copy (being tried already)\n")
    status, told = queue.call("drop", "1", "--yes")
    assert (status, told) == (
        0,
        "dropped 1 copy (being tried: when this attempt ends, unless it delivers)\n",
    )


def test_drop_wants_to_be_sure(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.put(1, recipients=("b@example.org", "c@example.org"))
    status, told = queue.call("drop", "--all")
    assert (status, "1 copy for 2 recipients; add --yes" in told) == (USAGE, True)
    monkeypatch.setattr(queueing, "_is_terminal", lambda: True)
    status, told = queue.call("drop", "--all", typed="n\n")
    assert (status, "nobody is told; --bounce tells the senders" in told) == (NOT_HELD, True)
    assert "nothing was dropped" in told
    status, told = queue.call("drop", "--all", "--bounce", typed="yes\n")
    assert (status, "their senders are told" in told) == (0, True)
    assert queue.left()[1].fate == "bounce"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")],
)
def test_a_span_is_told_in_its_largest_unit(seconds: int, told: str) -> None:
    assert queueing._span(timedelta(seconds=seconds)) == told
