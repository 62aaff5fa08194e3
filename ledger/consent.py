"""Consent to be tracked: its states, whose it is, what holds."""

import hashlib
import re
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, StrEnum

from ledger.address import Address, domain_key, parse_address, parse_domain
from ledger.mode import TrackingMode


class Consent(StrEnum):
    """What is on record of somebody's consent, as tables, API and pages spell it."""

    UNKNOWN = "unknown"
    GRANTED = "granted"
    DENIED = "denied"


class Method(StrEnum):
    """How a consent was told."""

    FORM = "form"
    """By the person, on a page."""
    IMPORT = "import"
    SPOKEN = "spoken"
    CONSOLE = "console"
    OTHER = "other"


class Permit(Enum):
    """What may be recorded of a hit on a copy."""

    FULL = "full"
    ANONYMOUS = "anonymous"
    """Somebody of several denies: who it was is not looked for."""
    NOTHING = "nothing"
    """The only recipient denies."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose consent it is: one address, or everybody of a domain."""

    key: str
    """`Address.key`, or `domain_key`: that has no @."""
    denial_key: str
    """By which a denial is compared: an address without `+detail`."""
    shown: str
    """As written."""


_DIGEST = re.compile(r"~[0-9a-f]{64}")


def parse_subject(text: str) -> Subject:
    """Return the address or domain that `text` is, or who is forgotten under that digest.

    Raises AddressError where it is none of them.
    """
    if is_digest(text):
        return Subject(text, text, text)
    if "@" in text:
        return subject_of(parse_address(text))
    domain = parse_domain(text)
    return Subject(domain_key(domain), domain_key(domain), domain)


def subject_of(address: Address) -> Subject:
    """Return one address as a subject."""
    return Subject(address.key, address.key_without_detail, str(address))


def is_digest(text: str) -> bool:
    """Tell whether a text is what stands for who is forgotten; no address or domain is."""
    return text.startswith("~") and _DIGEST.fullmatch(text) is not None


def digest_of(digest_key: bytes, denial_key: str) -> str:
    """Return what stands for an address once it is forgotten: of no use without the key."""
    digest = hashlib.blake2b(
        denial_key.encode(), key=digest_key, digest_size=32, person=b"forgotten"
    )
    return f"~{digest.hexdigest()}"


def forgotten_subject(digest_key: bytes, subject: Subject) -> Subject:
    """Return what stands for an address as a subject once it is forgotten."""
    digest = digest_of(digest_key, subject.denial_key)
    return Subject(digest, digest, digest)


@dataclass(frozen=True, slots=True)
class Consents:
    """The consents on record, by key; of some subjects or of all."""

    granted: AbstractSet[str] = frozenset()
    """`Subject.key` of addresses and domains."""
    denied: AbstractSet[str] = frozenset()
    """`Subject.denial_key` of addresses and domains, and digests of who is forgotten."""
    digest_key: bytes | None = None
    """With it, denials of who is forgotten are found."""

    def of(self, address: Address) -> Consent:
        """Return what holds for an address.

        Law: no grant outweighs a denial, of the address or of its domain.
        Law: a denial holds for every `+detail` of its address.
        Law: a denial holds after its address is forgotten.
        """
        domain = domain_key(address.domain)
        if domain in self.denied or address.key_without_detail in self.denied:
            return Consent.DENIED
        if self._is_forgotten(address):
            return Consent.DENIED
        if domain in self.granted or address.key in self.granted:
            return Consent.GRANTED
        return Consent.UNKNOWN

    def _is_forgotten(self, address: Address) -> bool:
        if self.digest_key is None or not self.denied:
            return False
        return digest_of(self.digest_key, address.key_without_detail) in self.denied


def permit_for(
    mode: TrackingMode,
    recipients: Collection[Address],
    consents: Consents,
    *,
    withdrawn: bool = False,
) -> Permit:
    """Return what may be recorded of hits on a copy of a mode for some recipients.

    `withdrawn`: one of them has withdrawn, which is not among the consents yet.

    Law: no denial widens it.
    """
    if mode is TrackingMode.ANONYMOUS:
        return Permit.FULL  # nothing in the record ties its hits to any of them
    denies = bool(consents.denied) and any(consents.of(one) is Consent.DENIED for one in recipients)
    if not withdrawn and not denies:
        return Permit.FULL
    return Permit.NOTHING if len(recipients) == 1 else Permit.ANONYMOUS
