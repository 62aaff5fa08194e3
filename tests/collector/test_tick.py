import asyncio
from time import monotonic

from collector.tick import TICK_S, Ticks


async def test_law_a_release_depends_on_when_it_was_asked_for_and_on_nothing_else() -> None:
    """Law: when one is released depends on when it was asked for, and on nothing else: neither on
    what was done meanwhile nor, among those of one tick, on who was ready first.
    """
    ticks, order = Ticks(), []

    async def ask(name: str, busy_s: float) -> float:
        began = monotonic()
        held = ticks.hold(0.03)
        await asyncio.sleep(busy_s)
        await held
        order.append(name)
        return monotonic() - began

    took = await asyncio.gather(ask("slow", 0.02), ask("slower", 0.025), ask("quick", 0))
    assert order == ["slow", "slower", "quick"]
    assert all(0.03 <= one < 0.03 + TICK_S + 0.05 for one in took)
    assert max(took) - min(took) < TICK_S


async def test_one_that_is_not_awaited_any_more_holds_up_no_other() -> None:
    ticks = Ticks()
    gone, stays = (asyncio.create_task(_wait(ticks)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 1)
    assert gone.cancelled()


async def _wait(ticks: Ticks) -> None:
    await ticks.hold(0.01)
