"""What binds a sign-in at the provider to one browser.

All that a sign-in needs to know is derived from one secret, which the browser keeps in a cookie
until it comes back: nothing of it stands on the server, so any console process may end it.
Law: from what the provider and everybody on the way sees, nobody learns the secret or the verifier.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

LIFE_S = 600
"""From the button to the way back: a password and a second factor are found by then."""

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ticket:
    """One sign-in that was begun."""

    secret: str

    @property
    def state(self) -> str:
        """What comes back beside the code (RFC 6749 10.12)."""
        return self._derive("state")

    @property
    def nonce(self) -> str:
        """What the ID token must hold (OpenID Connect Core 3.1.2.1)."""
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        """What the code is worth nothing without (RFC 7636 4.1: 43 characters or more)."""
        return self._derive("verifier")

    @property
    def challenge(self) -> str:
        """The verifier's hash, by the method S256 (RFC 7636 4.2)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def owns(self, state: str) -> bool:
        """Tell whether a state that came back is this sign-in's."""
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))

    def _derive(self, what: str) -> str:
        return _text(hmac.digest(self.secret.encode("utf-8", "replace"), what.encode(), "sha256"))


def draw_ticket() -> Ticket:
    """Return a ticket that nobody has."""
    return Ticket(secrets.token_urlsafe(_SECRET_BYTES))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
