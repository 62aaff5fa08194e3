from hypothesis import given
from hypothesis import strategies as st

from ledger.pace import AIM_S, LEAST, MOST, Pace, go_through


@given(st.lists(st.floats(0, 10)), st.floats(AIM_S * 1.01, 10))
def test_law_a_slow_disk_makes_steps_short_and_never_shorter_than_a_flush_is_worth(
    before: list[float], slow_s: float
) -> None:
    """Law: however slow the disk, the size falls until a step is as short as it should be.

    It never falls below LEAST: a flush costs as much for one row as for fifty.
    """
    pace = Pace()
    for took_s in before:
        pace = pace.after(took_s)
        assert LEAST <= pace.size <= MOST
    for _ in range(10):
        assert pace.after(slow_s).size in (pace.size // 2, LEAST)
        pace = pace.after(slow_s)
    assert pace.size == LEAST
    assert pace.after(0).size > LEAST


async def test_a_task_goes_on_until_a_step_finds_nothing() -> None:
    left, sizes = 1_000, list[int]()

    async def step(limit: int) -> int:
        nonlocal left
        taken = min(limit, left)
        left -= taken
        sizes.append(limit)
        return taken

    assert await go_through(step) == 1_000
    assert left == 0
    assert sizes == sorted(sizes)
