"""DELIVER: one copy to the next hop; every error becomes an Outcome.

A connection that was kept may have been closed by the other side in the meantime, so what fails on
it before MAIL is answered is said again on another; nothing else is repeated here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.deliver.connect import Access, ConnectError, SignInRefused, TlsContexts
from relay.deliver.pool import Pool
from relay.deliver.rate import Rate
from relay.deliver.transact import Transacted, send_message
from relay.deliver.wire import Connection
from relay.mail import Credential, Envelope
from relay.reply import Deferred, Outcome, Reply
from relay.upstream import Timeouts, Upstream


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No transaction was begun: nobody has an outcome, and another upstream may be tried."""

    reply: Reply
    refused: bool = False
    """It was reached and does not let the person in; whoever else is asked would learn his
    password."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Nothing was begun, for the upstream has been given all that it may be in a minute."""

    wait_s: float


Told = tuple[Outcome, ...] | Unreachable | Postponed


class NextHop:
    """One upstream, to which copies are delivered."""

    def __init__(
        self,
        upstream: Upstream,
        hostname: str,
        contexts: TlsContexts,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen, so shared by all without harm
    ) -> None:
        """Connect to nothing yet; `hostname` is our name in EHLO."""
        self.upstream = upstream
        self._timeouts = timeouts
        self._pool = Pool(Access(upstream, hostname, contexts, timeouts))
        self._rate = Rate(upstream.max_messages_per_minute)

    async def deliver_copy(
        self,
        envelope: Envelope,
        stamp: Callable[[], bytes],
        credential: Credential | None = None,
    ) -> Told:
        """Return an outcome for each of the envelope's recipients, in their order.

        `stamp` returns the content, dot-stuffed and ending CRLF; it is called once there is a
        connection, so that copies that wait for one cost no memory.  With a `credential` the
        copy goes as that person's or not at all.

        Law: whatever the upstream does, this returns; only what `stamp` raises is raised.
        """
        content: bytes | None = None
        async with self._pool.turn():
            if (later := self.postponed()) is not None:
                return later
            while True:
                try:
                    async with self._pool.lend(credential) as connection:
                        if content is None and (wait_s := self._wait_s(envelope)):
                            return Postponed(wait_s)
                        fresh = not connection.transactions
                        content = stamp() if content is None else content
                        outcomes = await self._send(connection, envelope, content)
                except SignInRefused as error:
                    return Unreachable(error.reply, refused=credential is not None)
                except ConnectError as error:
                    return Unreachable(error.reply)
                if isinstance(outcomes, tuple):
                    self._pool.reached()
                    return outcomes
                if fresh:
                    self._pool.rest(ConnectError(outcomes.reply))
                    return outcomes

    @property
    def resting(self) -> bool:
        """Whether it was not reached lately, so that a copy would come back at once."""
        return self._pool.resting

    def postponed(self) -> Postponed | None:
        """Return when a copy is to come again where nothing may be sent now."""
        now_s = _now_s()
        if not self._rate.is_spent(now_s):
            return None
        return Postponed(self._rate.come_again(1, now_s))

    def _wait_s(self, envelope: Envelope) -> float:
        """Return 0 where a copy may be sent, and count it; else after how long it may."""
        messages = -(-len(envelope.recipients) // self.upstream.max_recipients_per_transaction)
        now_s = _now_s()
        if self._rate.take(messages, now_s):
            return 0.0
        return self._rate.come_again(messages, now_s)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.close()

    async def _send(
        self, connection: Connection, envelope: Envelope, content: bytes
    ) -> tuple[Outcome, ...] | Unreachable:
        """Return the outcomes of as many transactions as the recipients need."""
        outcomes: dict[int, Outcome] = {}
        waiting = list(range(len(envelope.recipients)))
        most = self.upstream.max_recipients_per_transaction
        counted = -(-len(waiting) // most)
        while waiting:
            group, waiting = waiting[:most], waiting[most:]
            part = replace(envelope, recipients=tuple(envelope.recipients[at] for at in group))
            if not counted:  # the upstream took fewer at once than was to be expected
                self._rate.spend(_now_s())
            counted = max(counted - 1, 0)
            sent = await send_message(connection, part, content, self._timeouts)
            if not sent.begun and not outcomes:
                return Unreachable(sent.outcomes[0].reply)
            outcomes |= zip(group, sent.outcomes, strict=True)
            waiting = [group[at] for at in sent.overfull] + waiting
            if not connection.clean:
                left = (at for at in waiting if at not in outcomes)
                outcomes |= dict.fromkeys(left, _not_tried(sent))
                break
        return tuple(outcomes[at] for at in range(len(envelope.recipients)))


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _not_tried(sent: Transacted) -> Deferred:
    """Return the outcome of those whose turn did not come: they wait, with the reason."""
    return Deferred(Reply(451, "4.4.2", f"not tried after: {sent.outcomes[-1].reply}"))
