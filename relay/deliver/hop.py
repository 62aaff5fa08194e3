"""DELIVER: one copy to the next hop; every error becomes an Outcome.

A connection that was kept may have been closed by the other side in the meantime, so what fails on
it before MAIL is answered is said again on another; nothing else is repeated here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.deliver.connect import ConnectError, TlsContexts
from relay.deliver.pool import Pool
from relay.deliver.transact import Transacted, send_message
from relay.deliver.wire import Connection
from relay.mail import Envelope
from relay.reply import Deferred, Outcome, Reply
from relay.upstream import Timeouts, Upstream


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No transaction was begun: nobody has an outcome, and another upstream may be tried."""

    reply: Reply


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
        self._pool = Pool(upstream, hostname, contexts, timeouts)

    async def deliver_copy(
        self, envelope: Envelope, stamp: Callable[[], bytes]
    ) -> tuple[Outcome, ...] | Unreachable:
        """Return an outcome for each of the envelope's recipients, in their order.

        `stamp` returns the content, dot-stuffed and ending CRLF; it is called once there is a
        connection, so that copies that wait for one cost no memory.

        Law: whatever the upstream does, this returns; only what `stamp` raises is raised.
        """
        content: bytes | None = None
        async with self._pool.turn():
            while True:
                try:
                    async with self._pool.lend() as connection:
                        fresh = not connection.transactions
                        content = stamp() if content is None else content
                        outcomes = await self._send(connection, envelope, content)
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
        while waiting:
            group, waiting = waiting[:most], waiting[most:]
            part = replace(envelope, recipients=tuple(envelope.recipients[at] for at in group))
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


def _not_tried(sent: Transacted) -> Deferred:
    """Return the outcome of those whose turn did not come: they wait, with the reason."""
    return Deferred(Reply(451, "4.4.2", f"not tried after: {sent.outcomes[-1].reply}"))
