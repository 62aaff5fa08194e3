from relay.deliver.connect import ConnectError
from relay.deliver.rest import Rest
from relay.reply import Reply
from relay.upstream import Timeouts

WHY = ConnectError(Reply(451, "4.4.1", "no connection"))


def test_a_rest_doubles_up_to_the_last() -> None:
    rest, now_s, rests = Rest(Timeouts(first_rest_s=10, last_rest_s=60)), 0.0, []
    for _ in range(5):
        rest.begin(WHY, now_s)
        rests.append(rest.until_s - now_s)
        now_s = rest.until_s
    assert rests == [10, 20, 40, 60, 60]


def test_who_fails_within_a_rest_makes_it_no_longer() -> None:
    rest = Rest(Timeouts(first_rest_s=10))
    rest.begin(WHY, 0.0)
    rest.begin(WHY, 5.0)
    assert rest.why_not(9.9, trying=False) is WHY
    assert rest.why_not(10.0, trying=False) is None
    assert rest.why_not(10.0, trying=True) is WHY


def test_what_is_reached_rests_no_more_and_begins_anew() -> None:
    rest = Rest(Timeouts(first_rest_s=10, last_rest_s=300))
    rest.begin(WHY, 0.0)
    rest.begin(WHY, 10.0)
    rest.end()
    assert rest.why_not(11.0, trying=True) is None
    rest.begin(WHY, 20.0)
    assert rest.until_s == 30.0
    assert not rest.is_stale(329.0)
    assert rest.is_stale(330.0)
