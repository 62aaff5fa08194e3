"""The MX of recipients' domains, looked up beside the hits.

Law: nobody waits for an answer; what is not known yet is no evidence.
Only a domain is asked for, never an address, and of anonymous copies nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import structlog
from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.name import from_text
from dns.resolver import NXDOMAIN, NoAnswer, NoResolverConfiguration

from collector.gateway import domain_of, gateway_of
from collector.kept import judged_of, with_gateway
from ledger.mode import TrackingMode
from ledger.story import RecordedHit, Story

RESOLV_CONF = "/etc/resolv.conf"

LIMIT_S = 5.0
"""For one look-up with its tries: what resolvers take by default (resolv.conf, timeout)."""

AT_ONCE = 4
"""Look-ups at a time: the resolver is shared with mail, and nobody is in a hurry."""

MAX_WAITING = 1_000
"""Domains that wait; one more is asked for when its next hit comes."""

MAX_KNOWN = 10_000
"""Domains remembered, some 3 MB; then the one looked up first is forgotten."""

LEAST_S, MOST_S = 300.0, 86_400.0
"""A TTL counts within these: a gateway is changed once in years (MOST_S: RFC 2308 5)."""

NONE_S = 3_600.0
"""How long it holds that a domain has no MX: RFC 2308 5 asks for one to three hours."""

AGAIN_S = 300.0
"""After a failure: no longer may one be remembered (RFC 2308 7.1)."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Known:
    """What a look-up has told."""

    gateway: str
    """Empty: none that is known."""
    lasts_s: float


class Gateways:
    """What one process knows of domains."""

    def __init__(self, resolver: Resolver) -> None:
        """Take who is asked; within the loop that `follow` runs in."""
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._known: dict[str, tuple[str, float]] = {}
        self._asked: set[str] = set()
        self._waiting = asyncio.Queue[str](MAX_WAITING)
        self._stopped = asyncio.Event()

    def know(
        self, waiting: Sequence[RecordedHit], stories: Mapping[int, Story]
    ) -> Sequence[RecordedHit]:
        """Return hits with the gateways that are known by now; from any thread, at once."""
        return [know_gateway(hit, stories[hit.copy_id], self.gateway) for hit in waiting]

    def gateway(self, domain: str) -> str:
        """Return the gateway of a domain, empty where none is known, and have it looked up."""
        gateway, until = self._known.get(domain, ("", 0.0))
        if monotonic() < until:
            return gateway
        self._loop.call_soon_threadsafe(self._want, domain)
        return ""

    async def follow(self) -> None:
        """Look up what is asked for, until stopped."""
        workers = [asyncio.create_task(self._work()) for _ in range(AT_ONCE)]
        await self._stopped.wait()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def stop(self) -> None:
        """Let `follow` end; look-ups on their way are given up."""
        self._stopped.set()

    def _want(self, domain: str) -> None:
        if domain not in self._asked and not self._waiting.full():
            self._asked.add(domain)
            self._waiting.put_nowait(domain)

    async def _work(self) -> None:
        while True:
            domain = await self._waiting.get()
            told = await look_up(self._resolver, domain)
            self._known.pop(domain, None)
            if len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[domain] = (told.gateway, monotonic() + told.lasts_s)
            self._asked.discard(domain)


async def look_up(resolver: Resolver, domain: str) -> Known:
    """Return what a domain's MX tells; a failure tells nothing, for a while."""
    try:
        name = from_text(domain)
        answer = await resolver.resolve(name, "MX", lifetime=LIMIT_S, search=False)
    except (NXDOMAIN, NoAnswer):
        return Known("", NONE_S)
    except (DNSException, OSError, ValueError) as error:
        _log.info("mx.unanswered", why=type(error).__name__, again_s=AGAIN_S)
        return Known("", AGAIN_S)
    except Exception:  # noqa: BLE001 - house style 29: these loops log and go on
        _log.exception("mx.unanswered", again_s=AGAIN_S)
        return Known("", AGAIN_S)
    rows = sorted(answer, key=lambda row: row.preference)
    ttl = 0.0 if answer.rrset is None else float(answer.rrset.ttl)
    gateway = gateway_of(row.exchange.to_text() for row in rows)
    return Known(gateway, min(max(ttl, LEAST_S), MOST_S))


def know_gateway(hit: RecordedHit, story: Story, gateway: Callable[[str], str]) -> RecordedHit:
    """Return a hit with its gateway, where that is known and may be asked for.

    Of a shared copy only where all its recipients are of one domain.
    """
    if story.mode in (TrackingMode.ANONYMOUS, TrackingMode.OFF) or judged_of(hit) is not None:
        return hit
    domains = {domain_of(recipient) for recipient, _ in story.recipients}
    domain = domains.pop() if len(domains) == 1 else ""
    found = gateway(domain) if domain else ""
    return replace(hit, features=with_gateway(hit.features, found)) if found else hit


def open_gateways() -> Gateways | None:
    """Return who asks the nameservers of this system; None, and it is told, where it has none."""
    try:
        return Gateways(Resolver(filename=RESOLV_CONF))
    except (NoResolverConfiguration, ValueError):
        mend = "name one there, or set collector.mx_lookups = false, and start again"
        _log.error("mx.off", why=f"{RESOLV_CONF} names no nameserver by its address; {mend}")
        return None
