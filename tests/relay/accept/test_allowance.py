"""How much one may have, by laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accept import allowance as module
from relay.accept.allowance import Allowance


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 20), st.lists(st.floats(0, 20), max_size=100))
def test_nobody_has_more_than_twice_his_allowance(most: int, pauses: list[float]) -> None:
    # Law: within any span as long as the time, nobody has more than twice his allowance, and
    # whoever has had nothing that long has it all.
    clock = Clock()
    allowance = Allowance(most, 60, clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        if allowance.take("alice"):
            taken.append(clock.now)
    assert all(len([at for at in taken if one <= at <= one + 60]) <= 2 * most for one in taken)
    clock.now += 60.001
    assert [allowance.take("alice") for _ in range(most)] == [True] * most
    assert not allowance.take("alice")
    assert allowance.take("bob")


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KEPT", 2)
    allowance = Allowance(1, 60, Clock())
    assert [allowance.take(who) for who in "abc"] == [True] * 3
    assert [allowance.take(who) for who in "bca"] == [False, False, True]
