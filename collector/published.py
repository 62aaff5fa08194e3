"""Published ranges: what a file of a known machine's networks says.

A first line names the kind and the day the networks were fetched, each other one network; `#`
begins a comment, and what follows a network on its line is not read.
A list only ever supports other evidence.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from itertools import pairwise

from collector.hit import IpAddress
from collector.networks import LISTED
from ledger.event import Agent

KINDS = (Agent.PROXY, Agent.PREFETCH, Agent.SCANNER, Agent.UNFURL)
"""What a network can speak for: programs, and the proxies behind which somebody looks."""

WIDEST = {4: 8, 6: 16}
"""Shortest prefixes: what a provider has at most; 0.0.0.0/0 would speak against everybody."""

_FORM = 'write a first line such as "scanner 2026-11-01"'


class RangesError(Exception):
    """A file of ranges can not be used; the text says which, where, why, and the mend."""


@dataclass(frozen=True, slots=True)
class RangeList:
    """The networks of one file."""

    name: str
    """Of the file, without its ending."""
    kind: Agent
    as_of: date
    """When they were fetched, as the file says."""
    bounds: Mapping[int, tuple[int, ...]]
    """By version of IP: first address of a range and the first behind it, again and again."""

    @property
    def mark(self) -> str:
        """What a hit from there is marked with: kind, name, date."""
        return f"{LISTED}:{self.kind.value}:{self.name}:{self.as_of.isoformat()}"

    def holds(self, address: IpAddress) -> bool:
        """Tell whether an address lies in one of the networks."""
        return bisect_right(self.bounds[address.version], int(address)) % 2 == 1


def read_ranges(name: str, text: str, where: str) -> RangeList:
    """Return what a file says; `where` is how faults name it.

    Raises RangesError at its first fault.
    """
    said = _lines(text)
    number, first = next(said, (1, ""))
    kind, as_of = _heading(first, f"{where}, line {number}")
    networks = [_network(line, f"{where}, line {number}") for number, line in said]
    if not networks:
        msg = f"{where}: holds no network; write one a line, or remove the file"
        raise RangesError(msg)
    return RangeList(name, kind, as_of, {4: _bounds(networks, 4), 6: _bounds(networks, 6)})


def marks_of(lists: Iterable[RangeList], address: IpAddress | None) -> tuple[str, ...]:
    """Return the marks of the lists that hold an address."""
    return () if address is None else tuple(one.mark for one in lists if one.holds(address))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if said := line.partition("#")[0].strip():
            yield number, said


def _heading(line: str, where: str) -> tuple[Agent, date]:
    words = line.split()
    kinds = ", ".join(one.value for one in KINDS)
    if len(words) != 2 or words[0] not in KINDS:  # noqa: PLR2004 - kind and date
        msg = f"{where}: is not one of {kinds} and a date; {_FORM}"
        raise RangesError(msg)
    try:
        return Agent(words[0]), date.fromisoformat(words[1])
    except ValueError as error:
        msg = f"{where}: {words[1][:40]!r} is no date; {_FORM}"
        raise RangesError(msg) from error


def _network(line: str, where: str) -> IPv4Network | IPv6Network:
    # Apple's list of its relays is CSV: network, country, region, city.
    word = re.split(r"[,\s]", line)[0] or line
    try:
        network = ip_network(word)
    except ValueError as error:
        mend = 'write a network such as "192.0.2.0/24"'
        if "host bits" in str(error):
            mend = f'write "{ip_network(word, strict=False)}"'
        msg = f"{where}: {word[:60]!r} is no network; {mend}"
        raise RangesError(msg) from error
    if network.prefixlen < WIDEST[network.version]:
        msg = f"{where}: {network} is wider than any provider's; write the networks it stands for"
        raise RangesError(msg)
    return network


def _bounds(networks: Iterable[IPv4Network | IPv6Network], version: int) -> tuple[int, ...]:
    """Return where ranges begin and end, in order; neighbours are one."""
    ours = (one for one in networks if one.version == version)
    found = [
        (int(one.network_address), int(one.broadcast_address) + 1)
        for one in collapse_addresses(ours)  # type: ignore[type-var] # they are of one version
    ]
    edges = [edge for pair in found for edge in pair]
    joined = {here for here, after in pairwise(edges) if here == after}
    return tuple(edge for edge in edges if edge not in joined)
