"""Where a connection comes in: through a proxy that is listed, or straight.

What a listed proxy says in its PROXY header is believed; from anybody else the header is a command
that nobody knows.
"""

import asyncio
from collections.abc import Callable

import structlog

from relay.accept.login import IPAddress, Network, is_trusted, peer_address
from relay.accept.proxy import ProxyHeader, ProxyHeaderError, read_header
from relay.accept.session import Session

_HEADER_S = 5.0
"""HAProxy sends it with the connection; nginx and others do so too."""

_log = structlog.get_logger()


class Entrance(asyncio.BufferedProtocol):
    """A connection until it is known who speaks.

    It reads into a buffer that has room for the header alone, so what the client sends behind it,
    TLS mostly, is still unread when the session begins.
    """

    def __init__(
        self,
        proxies: tuple[Network, ...],
        new_session: Callable[[], Session],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Prepare for a connection that begins when it is made."""
        self._proxies = proxies
        self._new_session = new_session
        self._loop = loop
        self._transport: asyncio.Transport
        self._proxy: IPAddress | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._read = b""
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session at once where no header is to be waited for."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "set_protocol")
        self._transport = transport  # type: ignore[assignment] # uvloop's have the methods alone
        self._proxy = peer_address(transport.get_extra_info("peername"))
        if is_trusted(self._proxy, self._proxies):
            self._deadline = self._loop.call_later(_HEADER_S, self._refuse, "it did not come")
            self._go_on()
        else:
            self._begin(self._new_session())

    def get_buffer(self, _sizehint: int) -> bytearray:
        """Return room for what is missing of the header."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Look at what has come."""
        self._read += self._buffer[:nbytes]
        self._go_on()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the deadline: the proxy has gone."""
        self._stop_waiting()

    def _go_on(self) -> None:
        try:
            header = read_header(self._read)
        except ProxyHeaderError as error:
            self._refuse(str(error))
            return
        if isinstance(header, ProxyHeader):
            self._stop_waiting()
            session = self._new_session()
            session.speak_for(self._proxy if header.local else header.peer)
            self._begin(session)
        else:
            self._buffer = bytearray(header)

    def _begin(self, session: Session) -> None:
        self._transport.set_protocol(session)
        session.connection_made(self._transport)

    def _refuse(self, why: str) -> None:
        self._stop_waiting()
        _log.warning("proxy.refused", proxy=str(self._proxy), reason=why)
        self._transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
