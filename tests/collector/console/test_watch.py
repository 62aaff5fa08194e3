"""The look at the ledger that all listeners share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from collector.console.watch import Watch
from ledger.engine import Store
from ledger.event import EventType


def always() -> bool:
    return True


class Counted:
    """A store that counts how often it is read."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = 0
        self.read_once = asyncio.Condition()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        async with self.store.read() as connection:
            yield connection
        async with self.read_once:
            self.reads += 1
            self.read_once.notify_all()

    async def reached(self, reads: int) -> None:
        async with self.read_once:
            await self.read_once.wait_for(lambda: self.reads >= reads)


async def test_what_is_already_there_is_told_at_once(console: Any) -> None:
    await console.record(console.event(EventType.OPENED), console.event(EventType.OPENED))
    watch = Watch(console.stores.ledger, look_every_s=60)
    assert await asyncio.wait_for(watch.number_after(0, always), 1) == 2
    # A record that was made anew has lower numbers.
    assert await asyncio.wait_for(watch.number_after(7, always), 1) == 2


async def test_many_listeners_cost_one_look(console: Any) -> None:
    counted = Counted(console.stores.ledger)
    watch = Watch(counted, look_every_s=0.05)  # type: ignore[arg-type] # it only reads
    waiting = [asyncio.create_task(watch.number_after(0, always)) for _ in range(50)]
    async with asyncio.timeout(5):
        await counted.reached(53)
        await console.record(console.event(EventType.OPENED))
        assert await asyncio.gather(*waiting) == [1] * 50
    # Each looks once when it comes, then all together.
    assert counted.reads < 100


async def test_a_listener_that_goes_takes_nobody_with_it(console: Any) -> None:
    counted = Counted(console.stores.ledger)
    watch = Watch(counted, look_every_s=0.05)  # type: ignore[arg-type] # it only reads
    going, staying = (asyncio.create_task(watch.number_after(0, always)) for _ in range(2))
    async with asyncio.timeout(5):
        await counted.reached(4)
        going.cancel()
        await console.record(console.event(EventType.OPENED))
        assert await staying == 1


async def test_who_does_not_listen_any_more_is_not_waited_for(console: Any) -> None:
    counted = Counted(console.stores.ledger)
    watch = Watch(counted, look_every_s=0.01)  # type: ignore[arg-type] # it only reads
    async with asyncio.timeout(5):
        assert await watch.number_after(0, lambda: counted.reads < 4) is None
    assert counted.reads == 4


async def test_the_end_sends_all_home(console: Any) -> None:
    counted = Counted(console.stores.ledger)
    watch = Watch(counted, look_every_s=60)  # type: ignore[arg-type] # it only reads
    waiting = [asyncio.create_task(watch.number_after(0, always)) for _ in range(3)]
    async with asyncio.timeout(5):
        await counted.reached(3)
        await watch.close()
        assert await asyncio.gather(*waiting) == [None] * 3
    assert await watch.number_after(0, always) is None


async def test_the_end_may_come_before_anybody_listened(console: Any) -> None:
    await Watch(console.stores.ledger).close()
