from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import matches_pattern, parse_address
from relay.route import route_copy
from relay.upstream import Upstream


def upstreams(*senders: str) -> tuple[Upstream, ...]:
    return tuple(
        Upstream(str(number), "mx.example", senders=tuple(some.split()))
        for number, some in enumerate(senders)
    )


@pytest.mark.parametrize(
    ("senders", "sender", "expected"),
    [
        (["*"], "a@x.example", "0"),
        (["*@x.example", "*"], "a@x.example", "01"),
        (["*@x.example", "*"], "a@y.example", "1"),
        (["*", "*@x.example"], "a@x.example", "01"),
        (["*@x.example", "*@y.example a@x.example"], "a@x.example", "01"),
        (["x.example"], "a@X.EXAMPLE", "0"),
        (["*@x.example"], "a@y.example", ""),
        ([], "a@y.example", ""),
        # a report goes where mail of its recipient goes, else anywhere
        (["*@x.example", "*@home.example"], None, "1"),
        (["*@x.example", "*@y.example"], None, "01"),
    ],
)
def test_the_first_match_is_tried_first_and_the_next_ones_are_failover(
    senders: Any, sender: Any, expected: Any
) -> None:
    given_sender = None if sender is None else parse_address(sender)
    route = route_copy(upstreams(*senders), given_sender, parse_address("me@home.example"))
    assert "".join(upstream.name for upstream in route) == expected


PATTERNS = st.sampled_from(["*", "*@a.example", "b.example", "u@a.example", "?@*"])


@given(st.lists(st.lists(PATTERNS, min_size=1, max_size=3), max_size=5), st.sampled_from("ab"))
def test_law_of_the_route(senders: Any, host: Any) -> None:
    """Law: the result is a part of `upstreams` in their order, and whoever is named by a pattern of
    an upstream has it."""
    every = upstreams(*map(" ".join, senders))
    sender = parse_address(f"u@{host}.example")
    route = route_copy(every, sender, parse_address("r@c.example"))
    assert route == tuple(
        one for one in every if any(matches_pattern(pattern, sender) for pattern in one.senders)
    )
