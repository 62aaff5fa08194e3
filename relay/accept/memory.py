"""How much memory the messages take that are being taken in, all together.

Law: what is kept beyond the small beginning of each message is never more than `most_bytes`.
A big message waits for its turn before its client may send it; one that turns out bigger than it
was said to be, and does not fit, is read to its end and put off.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SMALL_BYTES = 262_144
"""Of each message, not counted, so that the usual ones never wait for big ones."""

_AT_ONCE_BYTES = 32 * 1024 * 1024
"""One message of 25 MB.  While a message is compiled and packed it is there several times."""

_WAIT_S = 60.0
"""RFC 5321 4.5.3.2.4: a client waits two minutes for the answer to DATA."""


class Memory:
    """What all messages of a process may take."""

    def __init__(self, max_message_bytes: int = 0, most_bytes: int = _AT_ONCE_BYTES) -> None:
        """Allow `most_bytes`, or a single message of `max_message_bytes` where that is more."""
        # With its dots a message is at most a third longer: every line is `.` CRLF.
        self.most_bytes = max(most_bytes, max_message_bytes + max_message_bytes // 3)
        self.taken_bytes = 0
        self._given_back = asyncio.Event()

    @asynccontextmanager
    async def share(self, said_bytes: int) -> AsyncIterator["Share | None"]:
        """Give room for a message of so many bytes, when there is some; None where it takes long.

        `said_bytes` is what its client says of it, 0 where he says nothing.
        """
        share = Share(self)
        try:
            yield share if await self._granted(share, said_bytes) else None
        finally:
            share.give_back()
            self._given_back.set()

    async def _granted(self, share: "Share", said_bytes: int) -> bool:
        try:
            async with asyncio.timeout(_WAIT_S):
                while not share.grow(min(said_bytes, self.most_bytes)):
                    self._given_back.clear()
                    await self._given_back.wait()
        except TimeoutError:
            return False
        return True


class Share:
    """What one message takes."""

    def __init__(self, memory: Memory) -> None:
        """Take nothing yet."""
        self._memory = memory
        self._taken_bytes = 0
        self.refused = False
        """Whether it once did not get what it asked for."""

    def grow(self, size_bytes: int) -> bool:
        """Take what a message of this size needs; False where there is not enough."""
        more = size_bytes - SMALL_BYTES - self._taken_bytes
        if more <= 0:
            return True
        self.refused = self._memory.taken_bytes + more > self._memory.most_bytes
        if self.refused:
            return False
        self._memory.taken_bytes += more
        self._taken_bytes += more
        return True

    def give_back(self) -> None:
        """Take nothing any more."""
        self._memory.taken_bytes -= self._taken_bytes
        self._taken_bytes = 0
