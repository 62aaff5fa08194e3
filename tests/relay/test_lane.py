import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import lane as lane_module
from relay.lane import Lane, Lanes


def test_a_lane_takes_ten_copies_for_each_connection() -> None:
    lane = Lane(2)
    for _ in range(20):
        lane.enter()
    assert lane.room == 0
    lane.leave()
    assert lane.room == 1


def test_the_more_are_turned_away_the_later_they_come_again() -> None:
    lane = Lane(1)
    waits = [lane.turn_away() for _ in range(20_000)]
    assert waits == sorted(waits)
    assert 1 < waits[0] < 2
    assert waits[-1] == 300


def test_a_lane_that_has_nothing_to_do_has_turned_nobody_away() -> None:
    lane = Lane(1)
    first = lane.turn_away()
    lane.turn_away()
    lane.enter()
    lane.leave()
    assert lane.turn_away() == first


def caught_up(**connections: int) -> Lanes:
    """Lanes in which nothing waits, as far as is known."""
    lanes = Lanes(connections)
    for name in lanes.names:
        lanes.claimed(name, 1, [])
    return lanes


def test_what_waits_goes_before_what_is_new() -> None:
    lanes = Lanes({"a": 1})
    assert not lanes.reserve("a", 1)
    lanes.claimed("a", 5, [1] * 5)
    assert not lanes.reserve("a", 1)
    lanes.claimed("a", 5, [1] * 4)
    assert lanes.reserve("a", 1)


def test_a_full_lane_takes_nothing_new_and_others_do() -> None:
    lanes = caught_up(a=1, b=1)
    assert [lanes.reserve("a", 1) for _ in range(11)] == [True] * 10 + [False]
    assert lanes.reserve("b", 1)
    assert not lanes.enter("a", 1)
    assert lanes.limits() == {"b": 9}


def test_once_one_had_to_wait_all_do_until_none_is_left() -> None:
    lanes = caught_up(a=1)
    assert all(lanes.reserve("a", 1) for _ in range(10))
    assert not lanes.reserve("a", 1)
    assert lanes.leave("a", 1) is False  # one place is not worth the way
    assert not lanes.reserve("a", 1)
    assert [lanes.leave("a", 1) for _ in range(9)][-1]
    assert not lanes.reserve("a", 1)


def test_nobody_is_called_where_nothing_waits() -> None:
    lanes = caught_up(a=1)
    assert lanes.reserve("a", 1)
    assert lanes.leave("a", 1) is False


@pytest.mark.parametrize("size", [1_000, 30_000_000])
def test_little_content_is_under_way_at_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(lane_module, "_MOST_BYTES", 3_000)
    lanes = Lanes({"a": 5})
    assert lanes.limit("a") == 50
    lanes.claimed("a", 50, [size])
    assert lanes.limit("a") == (3 if size == 1_000 else 1)
    assert lanes.reserve("a", size)
    assert not lanes.reserve("a", 2_001)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(1, 40)), max_size=200))
def test_no_lane_is_ever_overfull(steps: list[tuple[str, bool, int]]) -> None:
    lanes = caught_up(a=1, b=2)
    inside: dict[str, list[int]] = {"a": [], "b": []}
    for name, comes, size in steps:
        if comes and lanes.enter(name, size):
            inside[name].append(size)
        elif inside[name]:
            lanes.leave(name, inside[name].pop())
        assert len(inside["a"]) <= 10
        assert len(inside["b"]) <= 20
    for name, sizes in inside.items():
        for size in sizes:
            lanes.leave(name, size)
    assert lanes.limits() == {"a": 10, "b": 20}
