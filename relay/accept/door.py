"""Who is connected, and the work that outlives a connection."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from relay.accept.allowance import Allowance
from relay.reply import Reply

_MAX_CONNECTIONS = 2_500
"""In all; each may make us hold 384 KB unread (twice the reader's limit and one read)."""

_MAX_STRANGERS = 500
"""From outside the trusted networks and not signed in, in all: they never keep our people out."""

_MAX_CONNECTIONS_PER_STRANGER = 50
"""Postfix's smtpd_client_connection_count_limit, which spares $mynetworks too."""

_MAX_CONNECTIONS_A_MINUTE = 300
"""Of a stranger's address: an office behind it has 300 people who send each minute."""


class Guest(Protocol):
    """A session, as the door sees it."""

    @property
    def peer(self) -> IPv4Address | IPv6Address | None:
        """Where it comes from; None: no network."""

    @property
    def trusted(self) -> bool:
        """Whether that is one of the trusted networks."""

    @property
    def ended(self) -> asyncio.Event:
        """Set when it is over."""

    def send_away(self) -> None:
        """End it when its transaction has ended."""

    def abort(self) -> None:
        """End it now."""


class Door:
    """Who is connected, by address, and the work that outlives a connection."""

    def __init__(self) -> None:
        """Nobody is in."""
        self.sessions: set[Guest] = set()
        self._strangers: dict[Guest, IPv4Address | IPv6Address | None] = {}
        self._at: Counter[IPv4Address | IPv6Address | None] = Counter()
        self._coming = Allowance(_MAX_CONNECTIONS_A_MINUTE, 60)
        self._taking_in: set[asyncio.Task[Reply]] = set()

    def enter(self, session: Guest) -> bool:
        """Let a session in, or return False where there are too many."""
        if len(self.sessions) >= _MAX_CONNECTIONS:
            return False
        if not session.trusted:
            if (
                len(self._strangers) >= _MAX_STRANGERS
                or self._at[session.peer] >= _MAX_CONNECTIONS_PER_STRANGER
                or not self._coming.take(session.peer)
            ):
                return False
            self._strangers[session] = session.peer
            self._at[session.peer] += 1
        self.sessions.add(session)
        return True

    def leave(self, session: Guest) -> None:
        """Forget a session that was let in; another one is not known here."""
        if session not in self.sessions:
            return
        self.sessions.remove(session)
        self.vouch(session)

    def vouch(self, session: Guest) -> None:
        """Count a session no longer among the strangers: it has signed in, or is over."""
        if session not in self._strangers:
            return
        place = self._strangers.pop(session)
        self._at[place] -= 1
        if not self._at[place]:
            del self._at[place]

    async def take_in(self, taking_in: Coroutine[Any, Any, Reply]) -> Reply:
        """Return the reply to a submission, which is taken in even if its client has gone."""
        task = asyncio.create_task(taking_in)
        self._taking_in.add(task)
        task.add_done_callback(self._taking_in.discard)
        return await asyncio.shield(task)

    async def empty(self, grace_s: float) -> None:
        """Send all sessions away, each when its transaction has ended, at the latest in grace_s."""
        for session in tuple(self.sessions):
            session.send_away()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._all_ended()
        for session in tuple(self.sessions):
            session.abort()
        await self._all_ended()
        if self._taking_in:
            await asyncio.wait(self._taking_in)

    async def _all_ended(self) -> None:
        for session in tuple(self.sessions):
            await session.ended.wait()
