"""The words for mail on its way: envelope, submission, entity, copy."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ledger.address import Address
from ledger.mode import TrackingMode


class RecipientType(StrEnum):
    """Where the header names a recipient: the first of To and Cc, else he is a Bcc."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


@dataclass(frozen=True, slots=True)
class Client:
    """Who speaks SMTP to us."""

    ip: str
    """After a PROXY header has been resolved."""
    helo: str
    """What EHLO or HELO said; not trusted."""
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """What a person signs in with where the upstream is asked who he is."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP said: the reverse-path as `sender`, None for `<>`, and the forward-paths."""

    sender: Address | None
    recipients: tuple[Address, ...]
    """Distinct by `Address.key`, in order, at least one."""
    smtputf8: bool = False
    """MAIL said SMTPUTF8 (RFC 6531)."""
    body_8bit: bool = False
    """MAIL said BODY=8BITMIME (RFC 6152)."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One accepted DATA."""

    send_id: str
    envelope: Envelope
    raw: bytes
    """Unstuffed; every line ends CRLF, the last one too; no lone CR or LF, no NUL."""
    received_at: datetime
    client: Client
    account: str | None = None
    """Who signed in; None on a trusted network."""
    credential: Credential | None = None
    """With what he did, where the upstream was asked: sealed before it is stored."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A part by offset (RFC 2045): `raw[start:body]` is its header, `raw[body:end]` its body."""

    start: int
    body: int
    end: int
    media_type: str
    """Lower case, `text/plain` where nothing usable is said (RFC 2045 5.2)."""
    encoding: str
    """Lower-case Content-Transfer-Encoding, `7bit` where none is said."""
    charset: str
    """Lower-case charset parameter, empty where none is said."""
    children: tuple["Entity", ...] = ()
    path: str = "1"
    """`1`, `1.2`, …: the number of the part as explain shows it."""
    disposition: str = ""
    """Lower-case Content-Disposition without its parameters."""
    opaque: bool = False
    """Its structure could not be told (no boundary found, too deep, too many): leave it alone."""


@dataclass(frozen=True, slots=True)
class Signing:
    """Whose key signs a copy: the tags d= and s= of DKIM (RFC 6376 3.5)."""

    domain: str
    """As `ledger.address.domain_key` spells it."""
    selector: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a copy."""

    address: Address
    recipient_type: RecipientType


@dataclass(frozen=True, slots=True)
class Copy:
    """One rendering of a send: for one recipient if individual, else for all it is alike for.

    All that stamping needs is frozen here, so a retry sends the same bytes.
    """

    copy_id: int
    """Random, 63 bits."""
    send_id: str
    mode: TrackingMode
    layout: int | None
    """Index into `Template.layouts`; None: the original."""
    key_id: int
    recipients: tuple[Recipient, ...]
    """At least one."""
