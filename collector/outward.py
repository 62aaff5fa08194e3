"""The way out to a webhook: checked addresses, bounded time and answers.

Law: without leave for private ones, no connection is made but to a public address, however a name
resolves, and if any of its addresses is not public, none is made.
Law: what comes back is never followed, kept or run.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from ssl import SSLContext
from typing import Any

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientError,
    ClientOSError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from config.public import is_public, read_address

LIMIT_S = 15.0
"""For a whole post: Standard Webhooks asks senders for 15 to 30 s, and receivers to be quick."""

_ANSWER_S, _ANSWER_BYTES = 2.0, 16_384
"""What is read of an answer, so that its connection can serve again; longer ones are cut off."""

_IDLE_S = 15.0
"""How long a connection is kept for the next post."""

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class NotPublicError(OSError):
    """A name leads inside."""


class Outward:
    """The connections of one webhook; within the loop that uses them."""

    def __init__(
        self,
        *,
        private: bool,
        resolver: AbstractResolver | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        """Take whether private addresses are meant; whom to ask and to trust, else the system's."""
        asked = resolver or ThreadedResolver()
        self._session = ClientSession(
            connector=TCPConnector(
                resolver=asked if private else _Checked(asked),
                # An address in the URL itself is resolved by nobody.
                socket_factory=_open_socket if private else _open_checked,
                # A name is asked for before each connection, and what it gave is what is used.
                use_dns_cache=False,
                keepalive_timeout=_IDLE_S,
                ssl=True if tls is None else tls,
            ),
            timeout=ClientTimeout(total=LIMIT_S),
            trust_env=False,  # no proxy that would connect for us
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": "Indicia", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | str:
        """Return the status that was answered, or in words why there was none."""
        said = {"Content-Type": "application/json", **headers}
        try:
            async with self._session.post(
                URL(url, encoded=True), data=body, headers=said, allow_redirects=False
            ) as response:
                await _read_out(response.content)
                return response.status
        except TimeoutError:
            return f"no answer within {LIMIT_S:.0f} s"
        except (ClientError, OSError, ValueError) as error:
            return _told(error)


async def _read_out(content: Any) -> None:  # noqa: ANN401 - aiohttp's stream, or an empty one
    """Read an answer to its end, if that is near; its status holds whatever comes."""
    with suppress(asyncio.IncompleteReadError, ClientError, TimeoutError):
        async with asyncio.timeout(_ANSWER_S):
            await content.readexactly(_ANSWER_BYTES)


class _Checked(AbstractResolver):
    """Whoever resolves names, of whose answers each address is looked at."""

    def __init__(self, asked: AbstractResolver) -> None:
        self._asked = asked

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._asked.resolve(host, port, family)
        for one in found:
            _check(one["host"])
        return found

    async def close(self) -> None:
        await self._asked.close()


def _check(host: str) -> None:
    address = read_address(host)
    if address is None or not is_public(address):
        msg = f"leads to {host}, which is no public address"
        raise NotPublicError(msg)


def _open_socket(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, _ = info
    return socket.socket(family=family, type=kind, proto=protocol)


def _open_checked(info: AddressInfo) -> socket.socket:
    _check(str(info[4][0]))
    return _open_socket(info)


def _told(error: Exception) -> str:
    """Return why there is no answer; nothing of what the receiver has sent."""
    cause = error.os_error if isinstance(error, ClientConnectorDNSError) else error
    inner = getattr(cause, "os_error", cause)
    if isinstance(inner, NotPublicError):
        return str(inner)
    if isinstance(error, ClientConnectorCertificateError):
        return "its certificate is not valid"
    if isinstance(error, ClientConnectorDNSError):
        return "its name does not resolve"
    number = getattr(inner, "errno", None)
    if isinstance(error, ClientOSError) and number:
        return os.strerror(number).lower()
    return f"no answer ({type(error).__name__})"
