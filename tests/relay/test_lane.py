from relay.lane import Lane


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
