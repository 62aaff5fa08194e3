from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.deliver.hop import Postponed
from relay.deliver.rate import Rate
from relay.reply import Delivered

CONTENT = b"Subject: hello\r\n\r\nHello\r\n"


def content() -> bytes:
    return CONTENT


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 4)), max_size=60),
)
def test_no_minute_has_more_than_it_may(per_minute: Any, asked: Any) -> None:
    """Law: in no 60 seconds is more than `per_minute` spent, but by one copy that alone needs more.

    Each minute ends with a send, for between two nothing is spent.
    """
    rate, now_s, spent = Rate(per_minute), 0.0, []
    for pause_s, messages in asked:
        now_s += pause_s
        if rate.take(messages, now_s):
            spent.append((now_s, messages))
    for at_s, messages in spent:
        within = [some for then_s, some in spent if at_s - 60 < then_s <= at_s]
        assert sum(within) <= per_minute or within == [messages]


@given(st.integers(1, 5), st.integers(1, 60))
def test_who_comes_again_when_told_finds_room(per_minute: Any, copies: Any) -> None:
    rate = Rate(per_minute)
    due = [rate.come_again(1, 0.0) for _ in range(copies) if not rate.take(1, 0.0)]
    assert due == sorted(due) or len(due) > 5 * per_minute
    for at_s in due[: 5 * per_minute]:
        assert rate.take(1, at_s)


def test_those_beyond_five_minutes_look_again_one_by_one() -> None:
    rate = Rate(1)
    rate.take(1, 0.0)
    due = [rate.come_again(1, 0.0) for _ in range(1000)]
    assert due[:5] == [60.0, 120.0, 180.0, 240.0, 300.0]
    assert 300 < min(due[5:]) < max(due) < 600
    assert len(set(due)) == len(due)


def test_without_a_limit_nothing_is_counted() -> None:
    rate = Rate(0)
    rate.spend(0.0)
    assert all(rate.take(1000, 0.0) for _ in range(3))
    assert not rate.is_spent(0.0)
    assert rate == Rate(0)


async def test_what_is_beyond_the_minute_is_postponed_and_costs_no_connection(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server, max_messages_per_minute=2)
    told = [await hop.deliver_copy(envelope(), content) for _ in range(4)]
    assert [type(one) for one in told] == [tuple, tuple, Postponed, Postponed]
    assert 55 < told[2].wait_s <= told[3].wait_s <= 60
    assert (len(server.taken), server.connections) == (2, 1)


async def test_a_copy_in_several_transactions_counts_as_so_many(
    fake_upstream: Any, next_hop: Any, envelope: Any
) -> None:
    server = await fake_upstream()
    hop = next_hop(server, max_messages_per_minute=3, max_recipients_per_transaction=1)
    two, three = (envelope(*(f"{n}@x.example" for n in range(many))) for many in (2, 3))
    assert isinstance((await hop.deliver_copy(two, content))[0], Delivered)
    assert isinstance(await hop.deliver_copy(two, content), Postponed)
    assert len(server.taken) == 2
    alone = next_hop(server, max_messages_per_minute=2, max_recipients_per_transaction=1)
    assert len(await alone.deliver_copy(three, content)) == 3
    assert isinstance(await alone.deliver_copy(envelope(), content), Postponed)


@pytest.mark.parametrize("too_many", [b"452 4.5.3 too many\r\n", b"552 too many\r\n"])
async def test_transactions_that_were_not_foreseen_are_counted(
    fake_upstream: Any, next_hop: Any, envelope: Any, too_many: Any
) -> None:
    server = await fake_upstream(says={"RCPT": [b"250 ok\r\n", too_many]})
    hop = next_hop(server, max_messages_per_minute=2)
    assert len(await hop.deliver_copy(envelope("b@x.example", "c@x.example"), content)) == 2
    assert len(server.taken) == 2
    assert isinstance(await hop.deliver_copy(envelope(), content), Postponed)
