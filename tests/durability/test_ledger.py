"""The ledger is locked, damaged or away: mail does not wait, and the facts come after."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.durability.kills import read_spool
from tests.durability.mailing import mail, recipients_of, submit, told_in_ledger
from tests.durability.relays import Relay, running_parent, write_configuration
from tests.durability.sink import Sink, running_sink
from tests.ports import free_port

pytestmark = pytest.mark.crash

MAILS = 200
CLIENTS = 4
MOST_BYTES = 2_000
WORST_P99_S = 1.0


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    with closing(sqlite3.connect(ledger, timeout=20, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


@contextmanager
def away(ledger: Path) -> Iterator[None]:
    files = [ledger.with_name(f"ledger.db{suffix}") for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.rename(file.with_name(f"away-{file.name}"))
    yield
    for file in files:
        file.unlink(missing_ok=True)
        file.with_name(f"away-{file.name}").rename(file)


@dataclass
class Flow:
    """Mail that flows, and how long each took."""

    relay: Relay
    sink: Sink
    next: int = 0
    delays_s: list[float] = field(default_factory=list)
    promised: list[int] = field(default_factory=list)

    async def send(self, mails: int) -> None:
        last = self.next + mails

        async def client() -> None:
            while self.next < last:
                number, self.next = self.next, self.next + 1
                begin = time.time()
                _, send_id = await submit(self.relay.smtp, number, mail(number, MOST_BYTES))
                assert send_id
                self.promised.append(number)
                to = f"to-{number}@example.test"
                while to not in self.sink.answered_at:  # noqa: ASYNC110 - the sink is asked
                    await asyncio.sleep(0.005)
                self.delays_s.append(self.sink.answered_at[to] - begin)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    async def told(self, within_s: float = 60) -> dict[tuple[str, str], int]:
        """Return what the ledger has been told, once the spool owes nothing."""
        wanted = [one for number in self.promised for one in recipients_of(number)]
        async with asyncio.timeout(within_s):
            while not all(map(self.sink.finished, wanted)):  # noqa: ASYNC110 - the sink is asked
                await asyncio.sleep(0.05)
            while self._is_busy():  # noqa: ASYNC110 - a database is asked
                await asyncio.sleep(0.05)
        return told_in_ledger(str(self.relay.folder / "ledger.db"))

    def _is_busy(self) -> bool:
        spooled = read_spool(self.relay.folder)
        return bool(spooled.owed or spooled.pending)


@asynccontextmanager
async def flow(folder: Path) -> AsyncIterator[Flow]:
    with running_parent() as parent:
        async with running_sink() as sink:
            smtp = free_port()
            write_configuration(folder, smtp, sink.port)
            relay = Relay(parent, folder, smtp)
            try:
                await relay.start()
                yield Flow(relay, sink)
                assert await relay.stop(30) == 0
            finally:
                relay.kill()


@pytest.mark.parametrize("trouble", [locked, away])
async def test_mail_flows_without_the_ledger_and_its_facts_come_after(
    tmp_path: Path, trouble: Callable[[Path], Iterator[None]]
) -> None:
    async with flow(tmp_path) as mails:
        await mails.send(20)
        await mails.told()
        mails.delays_s.clear()
        with trouble(tmp_path / "ledger.db"):  # type: ignore[attr-defined] # a context manager
            await mails.send(MAILS)
            delays_s = sorted(mails.delays_s)
            assert read_spool(tmp_path).owed
        await mails.send(20)
        told = await mails.told()
    p99_s = delays_s[int(len(delays_s) * 0.99)]
    print(f"{trouble.__name__}: {MAILS} mails, p99 {p99_s:.3f} s")  # noqa: T201 - the figure
    assert p99_s < WORST_P99_S
    assert_told(mails.promised, told)


def assert_told(promised: list[int], told: dict[tuple[str, str], int]) -> None:
    for number in promised:
        for one in recipients_of(number):
            end = "email.failed" if one.startswith("refused-") else "email.relayed"
            assert (told.get(("email.accepted", one)), told.get((end, one))) == (1, 1), one


async def test_mail_flows_while_the_ledger_is_damaged_and_a_backup_is_told_the_rest(
    tmp_path: Path,
) -> None:
    ledger, backup = tmp_path / "ledger.db", tmp_path / "backup.db"
    async with flow(tmp_path) as mails:
        await mails.send(20)
        before = await mails.told()
        with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(backup)) as target:
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.backup(target)
        await mails.relay.stop(30)
        with ledger.open("r+b") as file:
            # Every table and index but the first page, which says that it is a database.
            pages = len(file.read()) // 4096
            file.seek(4096)
            file.write(b"\xa5" * 4096 * (pages - 1))
        await mails.relay.start(listens=False)
        if not await mails.relay.listens():
            assert "ledger.db can not be opened" in mails.relay.tail()
            mails.relay.kill()
        ledger.unlink()
        backup.rename(ledger)
        await mails.relay.start()
        await mails.send(20)
        after = await mails.told()
    assert before
    assert_told(mails.promised, after)
