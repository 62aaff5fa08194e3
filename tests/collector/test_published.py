from contextlib import suppress
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.classify import classify
from collector.hit import Scene, Trace
from collector.published import RangesError, marks_of, read_ranges
from ledger.event import Agent
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

GOOD = """\ufeff# Mimecast, https://example.com/networks
scanner 2026-11-01

203.0.113.0/24
203.0.114.0/24  # next to it
198.51.100.7
2001:db8:1::/48,GB,GB-EN,London,
"""


def test_a_file_says_kind_day_and_networks() -> None:
    one = read_ranges("mimecast", GOOD, "mimecast.ranges")
    assert (one.kind, one.as_of) == (Agent.SCANNER, date(2026, 11, 1))
    assert one.mark == "listed:scanner:mimecast:2026-11-01"


@pytest.mark.parametrize(
    ("address", "held"),
    [
        ("203.0.113.0", True),
        ("203.0.114.255", True),
        ("203.0.115.0", False),
        ("203.0.112.255", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("2001:db8:1:ffff::1", True),
        ("2001:db8:2::", False),
        ("::1", False),
        ("255.255.255.255", False),
    ],
)
def test_an_address_lies_in_a_list_or_does_not(address: str, held: bool) -> None:
    one = read_ranges("mimecast", GOOD, "mimecast.ranges")
    assert marks_of([one], ip_address(address)) == (one.mark,) * held


def test_who_has_no_address_is_on_no_list() -> None:
    assert marks_of([read_ranges("mimecast", GOOD, "f")], None) == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "f, line 1: is not one of proxy, prefetch, scanner, unfurl and a date; write a first"),
        ("203.0.113.0/24\n", "f, line 1: is not one of proxy, prefetch, scanner, unfurl and a"),
        ("human_likely 2026-11-01\n", "f, line 1: is not one of proxy, prefetch, scanner, unfurl"),
        ("# x\n\nself 2026-11-01", "f, line 3: is not one of"),
        ("scanner 1.11.2026\n", "f, line 1: '1.11.2026' is no date; write a first line such as"),
        ("scanner 2026-11-01\n", "f: holds no network; write one a line, or remove the file"),
        ("scanner 2026-11-01\n\n203.0.113.256", "f, line 3: '203.0.113.256' is no network; write"),
        ("scanner 2026-11-01\n203.0.113.1/24", 'is no network; write "203.0.113.0/24"'),
        ("scanner 2026-11-01\n0.0.0.0/0", "f, line 2: 0.0.0.0/0 is wider than any provider's"),
        ("scanner 2026-11-01\n::/0", "f, line 2: ::/0 is wider than any provider's"),
        ("scanner 2026-11-01\n,,", "f, line 2: ',,' is no network"),
        ("scanner 2026-11-01\n<html>", "f, line 2: '<html>' is no network"),
    ],
)
def test_a_fault_says_where_it_is_and_the_mend(text: str, fault: str) -> None:
    with pytest.raises(RangesError) as told:
        read_ranges("x", text, "f")
    assert fault in str(told.value)


prefixes = st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32))


@given(st.lists(prefixes, min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_a_list_holds_what_any_of_its_networks_holds(
    said: list[tuple[int, int]], other: int
) -> None:
    networks = [ip_network((first >> 32 - bits << 32 - bits, bits)) for first, bits in said]
    one = read_ranges("x", "proxy 2026-01-01\n" + "\n".join(map(str, networks)), "f")
    edges = [(int(n.network_address), int(n.broadcast_address)) for n in networks]
    for number in (other, *(n + by for pair in edges for n in pair for by in (-1, 0, 1))):
        address = ip_address(number % 2**32)
        assert one.holds(address) is any(address in network for network in networks)


@given(st.text(max_size=200))
def test_any_text_is_a_list_or_one_clear_fault(text: str) -> None:
    with suppress(RangesError):
        assert marks_of([read_ranges("x", text, "f")], None) == ()


@pytest.mark.parametrize("kind", ["proxy", "prefetch", "scanner", "unfurl"])
def test_a_list_supports_and_never_decides_alone(kind: str) -> None:
    one = read_ranges("x", f"{kind} 2026-01-01\n203.0.113.0/24", "f")
    (mark,) = marks_of([one], ip_address("203.0.113.9"))
    nothing = Trace(AT, HitKind.OPEN, 0, "Strange/1", lists=(mark,))
    judged = classify(Scene(nothing))
    assert (judged.agent, judged.reasons) == (Agent.UNKNOWN, ("published_range",))
