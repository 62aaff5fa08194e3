"""ROUTE: which upstreams take a copy, and in which order."""

from collections.abc import Sequence

from ledger.address import Address, matches_pattern
from relay.upstream import Upstream


def route_copy(
    upstreams: Sequence[Upstream], sender: Address | None, recipient: Address
) -> tuple[Upstream, ...]:
    """Return the upstreams that serve a sender, in the order of the configuration.

    The first is tried first, the others are its failover.  Empty where none serves him.
    A copy with the null sender is a report about mail of its recipient (RFC 3464), so it goes where
    his own mail goes, and anywhere where nothing is said about him.

    Law: the result is a part of `upstreams` in their order, and whoever is named by a pattern of
    an upstream has it.
    """
    served = recipient if sender is None else sender
    serving = tuple(
        upstream
        for upstream in upstreams
        if any(matches_pattern(pattern, served) for pattern in upstream.senders)
    )
    return serving or (tuple(upstreams) if sender is None else ())
