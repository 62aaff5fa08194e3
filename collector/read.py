"""READ: the token of a link, and where the link leads."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from collector.target import Asked, spellings
from ledger.story import StoredLink
from ledger.token import HitKind, Token, TokenKey, claimed_slot, read_token

LinkOf = Callable[[int, int], Awaitable[StoredLink | None]]
"""Returns the stored link of a copy's slot, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Found:
    """A genuine token, and where it leads."""

    token: Token
    url: str | None = None
    """Of a click."""
    altered: bool = False


class Reader:
    """Reads tokens with the keys at hand."""

    def __init__(self, keys: Mapping[int, TokenKey], link_of: LinkOf) -> None:
        """Take the keys, and who knows the stored links."""
        self._keys = keys
        self._link_of = link_of

    async def read(self, asked: Asked) -> Found | None:
        """Return what a link says; None where we did not sign it for this destination."""
        found = self.read_signed(asked)
        if found is None and asked.kind is HitKind.CLICK:
            return await self._read_altered(asked)
        return found

    def read_signed(self, asked: Asked) -> Found | None:
        """Return what a link says as it stands, without a look at stored links."""
        for destination in spellings(asked.destination):
            token = read_token(self._keys, asked.kind, asked.token, destination)
            if token is None:
                continue
            if asked.kind is HitKind.OPEN:
                return Found(token)
            return Found(token, f"{_scheme(token)}://{destination.decode('latin-1')}")
        return None

    async def _read_altered(self, asked: Asked) -> Found | None:
        """Try the stored link: the tag must hold for it (contract, altered destination)."""
        claim = claimed_slot(asked.token)
        stored = None if claim is None else await self._link_of(*claim)
        if stored is None:
            return None
        destination = stored.url.partition("#")[0].partition("://")[2]
        # A mail's link without a slash after the host is signed without it, and stored with it.
        for signed in (destination, destination.replace("/", "", 1)):
            token = read_token(self._keys, asked.kind, asked.token, signed.encode())
            if token is not None:
                return Found(token, stored.url, altered=True)
        return None


def _scheme(token: Token) -> str:
    return "https" if token.https else "http"
