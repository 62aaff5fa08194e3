"""SIGN: the DKIM signature of a copy in place of those it broke.

RFC 6376 with rsa-sha256 (RFC 8301 3.1) and relaxed canonicalization of header and body.  A copy
differs from the next of its layout in its blanks alone, and no blank has white space in it, so all
else is made canonical once.
"""

import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from relay.addressees import named_keys
from relay.mail import Signing
from relay.mime.header import Field, Header, read_header
from relay.policy import Policy

MakeSignature = Callable[[bytes], bytes]
"""Returns the signature (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017 8.2) of bytes."""

SIGNATURE_FIELD = b"dkim-signature"

# Signed once more than they are there, so that nobody can add one; what programs on the way may
# rightly add, as Date or Message-ID, is signed where it is there (as rspamd's defaults have it).
_ALSO_ABSENT = (b"from", b"reply-to", b"subject", b"to", b"cc", b"in-reply-to", b"references")
_WHERE_PRESENT = (
    b"sender", b"date", b"message-id", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-id", b"list-help", b"list-unsubscribe",
    b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner", b"list-archive",
)  # fmt: skip
_BLANKS = re.compile(rb"[ \t]+")
_FOLD = b"\r\n\t"
_WIDTH = 72
"""Of folded lines, so that they stay under the 78 of RFC 5322 2.1.1."""


def signing_for(header: Header, policy: Policy) -> Signing | None:
    """Return who signs a message's copies anew; None where it is not signed, or we have no key.

    The key is that of the author's domain, for DMARC (RFC 7489 3.1.1) looks for that in d=.  A
    message of several authors is of none.
    """
    if not policy.signings or header.value(SIGNATURE_FIELD) is None:
        return None
    authors = header.values(b"from")
    keys = named_keys(authors[0].decode("utf-8", "replace")) if len(authors) == 1 else frozenset()
    if len(keys) != 1:
        return None
    domain = next(iter(keys)).rpartition("@")[2]
    return next((signing for signing in policy.signings if signing.domain == domain), None)


@dataclass(frozen=True, slots=True)
class Signable:
    """A layout made ready for signing its copies."""

    names: bytes
    """The tag h=, folded."""
    header: bytes
    """The canonical fields that it names, in its order."""
    body: tuple[bytes, ...]
    """Canonical: constant, blank, constant, …; the blanks are empty."""


def make_signable(pieces: Sequence[bytes]) -> Signable:
    """Return a message made ready: `pieces` are constant, blank, constant, …, dots doubled."""
    first = pieces[0].replace(b"\r\n..", b"\r\n.")
    header = read_header(first)
    names = _names(header)
    # A blank is no line end, so a dot behind it is not doubled, and one before a line end is.
    rest = (piece.replace(b"\r\n..", b"\r\n.") for piece in pieces[1:])
    body = [_canonical_text(piece) for piece in (first[header.body :], *rest)]
    ended = body[-1].rstrip(b"\r\n")
    body[-1] = ended + b"\r\n" if ended or len(body) > 1 else b""
    return Signable(_folded_names(names), b"".join(_named_fields(header, names)), tuple(body))


@dataclass(frozen=True, slots=True)
class Seal:
    """What signing a copy takes, but for the copy."""

    signing: Signing
    at: datetime
    """When the mail was accepted, so that a retry says the same."""
    make: MakeSignature


def sign_copy(signable: Signable, blanks: Sequence[bytes], seal: Seal) -> bytes:
    """Return the DKIM-Signature field of the copy with these blanks, folded, with its line end.

    Law: the same words give the same bytes.
    """
    body = list(signable.body)
    body[1::2] = blanks
    body_hash = b64encode(sha256(b"".join(body)).digest())
    value = (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={seal.signing.domain};\r\n"
        f"\ts={seal.signing.selector}; t={int(seal.at.timestamp())};\r\n"
    ).encode()
    value += b"\th=" + signable.names + b";\r\n\tbh=" + body_hash + b";\r\n\tb="
    # RFC 6376 3.7: the field itself comes last, b= empty and without its line end.
    own = SIGNATURE_FIELD + b":" + _canonical_value(value)
    signature = b64encode(seal.make(signable.header + own))
    lines = (signature[at : at + _WIDTH] for at in range(0, len(signature), _WIDTH))
    return b"DKIM-Signature: " + value + _FOLD.join(lines) + b"\r\n"


def _names(header: Header) -> list[bytes]:
    present = [field.name for field in header.fields]
    names: list[bytes] = []
    for name in _ALSO_ABSENT:
        names += [name] * (present.count(name) + 1)
    for name in _WHERE_PRESENT:
        names += [name] * present.count(name)
    return names


def _folded_names(names: Iterable[bytes]) -> bytes:
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH:
            lines.append(b"")
        lines[-1] += name + b":"
    return _FOLD.join(lines)[:-1]


def _named_fields(header: Header, names: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the canonical fields, of one name the last one first (RFC 6376 5.4.2)."""
    left: defaultdict[bytes, list[Field]] = defaultdict(list)
    for field in header.fields:
        left[field.name].append(field)
    for name in names:
        if left[name]:
            value = _canonical_value(header.value_of(left[name].pop()))
            yield name + b":" + value + b"\r\n"


def _canonical_value(value: bytes) -> bytes:
    # RFC 6376 3.4.2: unfolded, each run of blanks is one space, none stands at either end.
    return _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _canonical_text(text: bytes) -> bytes:
    # RFC 6376 3.4.4: each run of blanks is one space, and none ends a line.
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", b"\r\n")
