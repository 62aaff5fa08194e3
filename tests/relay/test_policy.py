"""What the organisation has said."""

import pytest

from ledger.address import parse_address
from relay.policy import Policy, TrackingHost

POLICY = Policy(
    "relay.example.com",
    "https://t.example.com",
    tracking_hosts=(
        TrackingHost(("*@a.example",), "https://t.a.example"),
        TrackingHost(("ann@b.example", "a.example"), "https://t.b.example"),
    ),
)


@pytest.mark.parametrize(
    ("sender", "base"),
    [
        ("ann@a.example", "https://t.a.example"),
        ("ANN@B.example", "https://t.b.example"),
        ("bob@b.example", "https://t.example.com"),
        (None, "https://t.example.com"),
    ],
)
def test_the_base_is_that_of_the_first_tracking_host_that_matches_the_sender(
    sender: str | None, base: str
) -> None:
    assert POLICY.base_for(parse_address(sender) if sender else None) == base


def test_every_base_is_our_own() -> None:
    assert POLICY.own_bases == (
        "https://t.example.com",
        "https://t.a.example",
        "https://t.b.example",
    )
