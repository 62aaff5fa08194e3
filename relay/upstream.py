"""The words for a next hop: where it is, and how it is spoken to."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class TlsMode(StrEnum):
    """How the connection to an upstream is secured; none is ever weakened by what the peer says."""

    STARTTLS = "starttls"
    """STARTTLS and a verified certificate, or nothing is sent."""
    IMPLICIT = "implicit"
    """TLS from the first byte and a verified certificate (RFC 8314 3.3)."""
    OPPORTUNISTIC = "opportunistic"
    """STARTTLS where it is offered, without verification (RFC 7435); a password needs STARTTLS."""
    NONE = "none"
    """No TLS, not even where it is offered."""


@dataclass(frozen=True, slots=True)
class OAuth:
    """Where access tokens come from, and with what they are asked for (RFC 6749)."""

    token_url: str
    client_id: str
    client_secret_file: Path | None = None
    """Files are read at each use, so that what they hold may change without a restart."""
    scope: str = ""
    refresh_token_file: Path | None = None
    """With it a token is asked for in a person's name (6), without it in our own (4.4)."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What we show in the TLS handshake; both PEM, read for each new connection."""

    certificate_file: Path
    private_key_file: Path


@dataclass(frozen=True, slots=True)
class Upstream:
    """One `[[upstream]]` of the configuration."""

    name: str
    host: str
    port: int = 587
    tls: TlsMode = TlsMode.STARTTLS
    username: str = ""
    """Empty: no AUTH, but by a certificate or as the person whose mail it is."""
    password_file: Path | None = None
    """Read for each new connection, so that a changed password needs no restart."""
    oauth: OAuth | None = None
    """Signs in with a token instead of a password."""
    certificate: ClientCertificate | None = None
    """Signs in by the handshake instead of a password."""
    senders: tuple[str, ...] = ("*",)
    """Patterns of the senders it serves (`ledger.address.matches_pattern`)."""
    max_connections: int = 10
    max_recipients_per_transaction: int = 100
    max_messages_per_minute: int = 0
    """0: no limit."""

    @property
    def signs_in(self) -> bool:
        """Whether we sign in there in our own name."""
        return bool(self.username) or self.certificate is not None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an upstream may take: no option, for RFC 5321 4.5.3.2 says what all may rely on."""

    connect_s: float = 30
    """For one address to answer, as Postfix has it (smtp_connect_timeout)."""
    open_s: float = 300
    """From greeting to AUTH together. RFC 5321 4.5.3.2.1 grants this to the greeting alone."""
    command_s: float = 300
    """RFC 5321 4.5.3.2.2 and .3: MAIL and RCPT, 5 minutes."""
    data_s: float = 120
    """RFC 5321 4.5.3.2.4: the 354 to DATA, 2 minutes."""
    block_s: float = 180
    """RFC 5321 4.5.3.2.5: each block of content, 3 minutes."""
    end_s: float = 600
    """RFC 5321 4.5.3.2.6: the answer to the final dot, 10 minutes, lest mail be sent twice."""
    idle_s: float = 10
    """How long a connection is kept for the next mail; well under any server's own limit."""
    quit_s: float = 5
    """For the answer to QUIT; nothing depends on it."""
    token_s: float = 30
    """For a token; HTTP has no such rule, and a provider that needs longer is out of order."""
    first_rest_s: float = 10
    last_rest_s: float = 300
    """An upstream that was not reached is left alone so long; it doubles with each further try."""
    full_s: float = 60
    """How long no further connection is asked for where the upstream refused one beside others."""
