"""HUB, the way out: claim what is due, stamp, deliver, settle.

What is to be tried again lies in the spool with its due time, not in a task here.  Each upstream
has a lane of its own, so a dead or slow one never keeps others waiting.

Law: a claim ends as a settlement, or its lease ends and it is claimed again.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ledger.fate import REMOVED, Fate
from ledger.keys import KeyRing
from relay.batch import fresh_ident
from relay.clock import SteadyClock, utc_now
from relay.conclude import Attempt, Drawn, Terms, conclude_attempt
from relay.deliver.hop import NextHop, Postponed, Unreachable
from relay.lane import Lanes
from relay.mail import Credential, Envelope, Signing
from relay.notice import Names
from relay.outgoing import single_dots
from relay.policy import Policy
from relay.promise import Claim, CopyIdTaken, Settlement, SpoolError
from relay.reply import Deferred, Delivered, Failed, Outcome, Reply
from relay.route import route_copy
from relay.seal import SealError, open_credential
from relay.sign import MakeSignature
from relay.spool import Spool
from relay.stamping import Stamping
from relay.tell import tell_settlement
from relay.upstream import Upstream
from relay.withdraw import withdraw_tracking

SANDBOX = "sandbox"
"""The upstream's name in events where mail is captured."""

_GIVEN_UP = Failed(Reply(*REMOVED))
_CAPTURED = Delivered(Reply(250, "2.0.0", "captured"))
_NO_ROUTE = Reply(451, "4.4.4", "no upstream serves this sender")
_NO_NAMES = Names("", "", 0, 0)
_NOTHING_DRAWN = Drawn(0.0, _NO_NAMES, _NO_NAMES)
"""Where all are delivered chance has no part, and drawing costs more than concluding."""
_BROKEN = Deferred(Reply(451, "4.3.0", "internal error"))

_CAPTURE_CONNECTIONS = 5
"""As many copies are captured at once as go to so many connections; the spool is the limit."""

_LOOK_S = 5
"""What other processes put into the spool or set free wakes nobody here."""

_ROUTES = 4096
"""Senders and recipients whose upstreams are remembered."""

_ADOPT_S = 60
"""How often mail is looked for that a relay with other upstreams has left in the same spool."""

_PAUSE_S = 1
"""After the spool could not be read or written."""

_CALM_S = 3
"""After the clock was set, until something is claimed: leases look ended that are not."""

_WATCH_S = 0.5
"""How often the clock is looked at: every process renews its leases within _CALM_S of a jump."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """What dispatch is told."""

    terms: Terms
    policy: Callable[[], Policy]
    """Tells what is in force."""
    lease_s: int = 60
    signers: Mapping[Signing, MakeSignature] = field(default_factory=dict)


class Dispatch:
    """The way out of one process."""

    def __init__(
        self,
        spool: Spool,
        hops: Sequence[NextHop],
        keys: KeyRing,
        settings: DispatchSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Start nothing yet. Without `hops` mail is captured."""
        self._spool = spool
        self._hops = {hop.upstream.name: hop for hop in hops}
        self._upstreams: tuple[Upstream, ...] = tuple(hop.upstream for hop in hops)
        # Asked several times for each copy, and patterns cost more than all else of a lane.
        self._routed = lru_cache(_ROUTES)(partial(route_copy, self._upstreams))
        self._keys = keys
        self._settings = settings
        self._clock = SteadyClock(now)
        self._now = self._clock.now
        self._jumps_heeded = 0
        self._stamping = Stamping(keys.keys, settings.signers)
        connections = {one.name: one.max_connections for one in self._upstreams}
        self._lanes = Lanes(connections or {SANDBOX: _CAPTURE_CONNECTIONS})
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._adopt_at_s = 0.0
        self._freed = asyncio.Event()
        self._stopping = False
        self.ambiguous_total = 0
        """Attempts whose answer to the final dot was lost."""

    async def run(self) -> None:
        """Carry mail until stopped."""
        renewing = asyncio.create_task(self._renew_leases(), name="dispatch leases")
        try:
            while not self._stopping:
                try:
                    await self._adopt()
                    await self._claim_some()
                except (SpoolError, SQLAlchemyError, OSError) as error:
                    _log.error("dispatch.failed", error=str(error))
                    await asyncio.sleep(_PAUSE_S)
        finally:
            renewing.cancel()

    async def stop(self, within_s: float) -> None:
        """Claim nothing more, let what is under way end within a time, and leave the rest."""
        self._stopping = True
        self._spool.wake.set()
        self._freed.set()
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)
        left = dict(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for hop in self._hops.values():
            hop.close()
        # Whoever starts next need not wait for the leases to end.
        await asyncio.gather(
            *(self._put_back(claim, 0) for claim in left.values()), return_exceptions=True
        )

    async def _adopt(self) -> None:
        """Take charge of what waits for an upstream that is not there (any more)."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._adopt_at_s:
            # First, so that what is stored beside the adoption has its lane.
            self._spool.carrier = self
            await self._spool.adopt(self._lanes.names)
            self._adopt_at_s = now_s + _ADOPT_S

    async def _claim_some(self) -> None:
        limits = self._lanes.limits()
        if not limits:
            self._freed.clear()
            await self._freed.wait()
            return
        now = await self._calm_now()
        if now is None:
            return
        self._spool.wake.clear()
        claimed = [await self._claim_in(name, limit, now) for name, limit in limits.items()]
        if not any(claimed):
            await self._rest(tuple(limits))

    async def _claim_in(self, name: str, limit: int, now: datetime) -> int:
        """Return how many copies of a lane were due."""
        claims = await self._spool.claim(limit, now, self._settings.lease_s, name)
        self._lanes.claimed(name, limit, list(map(_size, claims)))
        full = [claim for claim in claims if not self._start(claim)]
        await asyncio.gather(*(self._turn_away(claim) for claim in full))
        return len(claims)

    async def _calm_now(self) -> datetime | None:
        """Return the instant it is; None, after a moment, where no lease can be told by it."""
        now = self._now()
        if self._is_calm():
            return now
        await asyncio.sleep(_WATCH_S)
        return None

    def _is_calm(self) -> bool:
        return self._clock.jumps == self._jumps_heeded and self._clock.steady_s >= _CALM_S

    async def _rest(self, lanes: Sequence[str]) -> None:
        due_at = await self._spool.next_due_at(self._now(), lanes)
        wait_s = _LOOK_S if due_at is None else (due_at - self._now()).total_seconds()
        try:
            async with asyncio.timeout(min(max(wait_s, 0.01), _LOOK_S)):
                await self._spool.wake.wait()
        except TimeoutError:
            return

    def leased_until(self) -> datetime | None:
        """Return the end of a lease that begins now; None where nothing may be leased."""
        now = self._now()
        if self._stopping or not self._is_calm():
            return None
        return now + timedelta(seconds=self._settings.lease_s)

    def lane_of(self, claim: Claim) -> str:
        """Return in which lane a copy waits when there is no room."""
        route = self._upstreams_of(claim)
        return route[0].name if route else self._lanes.names[0]

    def reserve(self, claim: Claim) -> bool:
        """Return whether there is room for a new copy, before others that are due as well."""
        return self._lanes.reserve(self.lane_of(claim), _size(claim))

    def carry(self, claim: Claim) -> None:
        """Carry a copy for which room is reserved."""
        self._begin(claim, self.lane_of(claim))

    def release(self, claim: Claim) -> None:
        """Give the room of a copy to others."""
        self._leave(claim, self.lane_of(claim))

    def _start(self, claim: Claim) -> bool:
        """Return False where its lane has no room, or we stop."""
        route = self._route(claim)
        lane = route[0].upstream.name if route else self.lane_of(claim)
        if self._stopping or not self._lanes.enter(lane, _size(claim)):
            return False
        self._begin(claim, lane)
        return True

    def _leave(self, claim: Claim, lane: str) -> None:
        if self._lanes.leave(lane, _size(claim)):
            self._spool.wake.set()
        self._freed.set()

    def _begin(self, claim: Claim, lane: str) -> None:
        task = asyncio.create_task(self._carry(claim), name=f"copy {claim.copy.copy_id}")
        self._running[task] = claim
        task.add_done_callback(partial(self._ended, lane))

    def _ended(self, lane: str, task: asyncio.Task[None]) -> None:
        self._leave(self._running.pop(task), lane)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("copy.not_settled", task=task.get_name(), error=repr(error))

    async def _carry(self, claim: Claim) -> None:
        claim = withdraw_tracking(claim, self._settings.policy())
        try:
            attempt = await self._attempt(claim)
        except Exception:  # noqa: BLE001 - house style 29: it stops no other copy and is not lost
            _log.exception("copy.broken", copy_id=claim.copy.copy_id)
            attempt = self._concluded(claim, _BROKEN)
        if isinstance(attempt, Postponed):
            await self._put_back(claim, attempt.wait_s)
        else:
            await self._settle(claim, attempt)

    async def _attempt(self, claim: Claim) -> Attempt | Postponed:
        if claim.fate in (Fate.SILENT, Fate.BOUNCE):
            return self._concluded(claim, _GIVEN_UP)
        if not self._hops:
            stamped = self._stamping.stamp(claim)
            return self._concluded(claim, _CAPTURED, SANDBOX, captured=single_dots(stamped))
        try:
            return await self._deliver(claim)
        except SealError as error:
            return self._concluded(claim, Deferred(Reply(451, "4.7.0", str(error))))

    async def _deliver(self, claim: Claim) -> Attempt | Postponed:
        envelope = Envelope(
            claim.sender,
            tuple(one.address for one in claim.copy.recipients),
            claim.smtputf8,
            claim.body_8bit,
        )
        stamp, credential = partial(self._stamping.stamp, claim), self._credential(claim)
        name, reply = "", _NO_ROUTE
        for hop in self._route(claim):
            told = await hop.deliver_copy(envelope, stamp, credential)
            name = hop.upstream.name
            match told:
                case Postponed():
                    return told
                case Unreachable():
                    reply = told.reply
                    if told.refused:
                        break
                case _:
                    now, steady_s = self._now(), self._clock.steady_s
                    return Attempt(now, told, name, hop.upstream.host, steady_s=steady_s)
        return self._concluded(claim, Deferred(reply), name)

    def _credential(self, claim: Claim) -> Credential | None:
        return None if claim.sealed is None else open_credential(self._keys.keys, claim.sealed)

    def _concluded(
        self, claim: Claim, outcome: Outcome, upstream: str = "", captured: bytes | None = None
    ) -> Attempt:
        outcomes = (outcome,) * len(claim.copy.recipients)
        return Attempt(self._now(), outcomes, upstream, "", captured, self._clock.steady_s)

    def _upstreams_of(self, claim: Claim) -> tuple[Upstream, ...]:
        return self._routed(claim.sender, claim.copy.recipients[0].address)

    def _route(self, claim: Claim) -> list[NextHop]:
        """Return the next hops in the order of trying: those that rest are the last resort."""
        route = [self._hops[one.name] for one in self._upstreams_of(claim)]
        return sorted(route, key=lambda hop: hop.resting)

    async def _settle(self, claim: Claim, attempt: Attempt) -> None:
        while True:
            settlement = conclude_attempt(claim, attempt, self._settings.terms, self._draw(attempt))
            try:
                held = await self._spool.settle(settlement)
            except CopyIdTaken:
                continue
            except SpoolError as error:
                # What the upstream has taken must be noted, or it is sent twice.
                _log.error("copy.not_settled", copy_id=claim.copy.copy_id, error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            self.ambiguous_total += any(map(_is_ambiguous, attempt.outcomes))
            tell_settlement(claim, settlement, held=held)
            return

    def _draw(self, attempt: Attempt) -> Drawn:
        if all(isinstance(outcome, Delivered) for outcome in attempt.outcomes):
            return _NOTHING_DRAWN
        return Drawn(random.random(), self._names(), self._names())  # noqa: S311 - jitter

    def _names(self) -> Names:
        now, key_id = self._now(), self._keys.current.key_id
        return Names(fresh_ident(now), fresh_ident(now), secrets.randbits(63), key_id)

    async def _turn_away(self, claim: Claim) -> None:
        name = self.lane_of(claim)
        await self._put_back(claim, self._lanes.turn_away(name), name)

    async def _put_back(self, claim: Claim, wait_s: float, lane: str | None = None) -> None:
        now = self._now()
        await self._spool.settle(
            Settlement(
                copy_id=claim.copy.copy_id,
                lease=claim.lease,
                attempt_at=now,
                outcomes=(),
                upstream="",
                due_at=now + timedelta(seconds=wait_s),
                delay_noticed=claim.delay_noticed,
                lane=lane,
            )
        )

    async def _renew_leases(self) -> None:
        lease_s = self._settings.lease_s
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            await asyncio.sleep(min(_WATCH_S, lease_s / 3))
            now, jumps = self._now(), self._clock.jumps
            if jumps == self._jumps_heeded and loop.time() < renewed_at + lease_s / 3:
                continue
            try:
                if self._running:
                    await self._spool.renew(list(self._running.values()), now, lease_s)
            except SpoolError as error:
                _log.error("leases.not_renewed", error=str(error))
                continue
            if jumps != self._jumps_heeded:
                _log.warning("clock.set", now=now.isoformat())
            self._jumps_heeded, renewed_at = jumps, loop.time()


def _is_ambiguous(outcome: Outcome) -> bool:
    return isinstance(outcome, Deferred) and outcome.ambiguous


def _size(claim: Claim) -> int:
    return len(claim.template.original)
