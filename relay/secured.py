"""Why nothing in a whole message may be touched.

What is signed would no longer verify, what is encrypted can not be read, and what machines read
is not for people: such mail goes through as it is.
"""

import binascii
import re
from collections.abc import Iterator

from pybase64 import b64decode

from ledger.address import Address
from relay.mail import Entity
from relay.mime.entity import walk_entities
from relay.mime.header import Header, parse_structured, read_header
from relay.verdict import PassReason, PassThrough

_BY_TYPE = {
    "multipart/signed": PassReason.SIGNED,
    "multipart/encrypted": PassReason.ENCRYPTED,
    "application/pgp-encrypted": PassReason.ENCRYPTED,  # RFC 3156 4
    "application/ms-tnef": PassReason.TNEF,
    "application/vnd.ms-tnef": PassReason.TNEF,
    "multipart/report": PassReason.REPORT,  # RFC 6522
    "message/delivery-status": PassReason.REPORT,  # RFC 3464
    "message/global-delivery-status": PassReason.REPORT,  # RFC 6533
    "message/disposition-notification": PassReason.REPORT,  # RFC 8098
    "message/global-disposition-notification": PassReason.REPORT,
    "message/feedback-report": PassReason.REPORT,  # RFC 5965
    "message/tracking-status": PassReason.REPORT,  # RFC 3886
}
_PKCS7 = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
# RFC 8551 3.2.1: gateways change the type to application/octet-stream, the names stay.
_BY_SUFFIX = {
    ".p7m": PassReason.ENCRYPTED,
    ".p7c": PassReason.SIGNED,
    ".p7s": PassReason.SIGNED,
    ".p7z": PassReason.ENCRYPTED,
}

# RFC 9580 6.2 (and RFC 4880 for parts): armour begins a line; in HTML there are none.
_ARMOUR = rb"-----BEGIN PGP (?:SIGNED )?MESSAGE(?:, PART [0-9/]+)?-----"
# A byte order mark or a no-break space may stand before it.
_ARMOUR_IN_TEXT = re.compile(rb"^[ \t\x80-\xff]*" + _ARMOUR, re.MULTILINE)
_ARMOUR_IN_HTML = re.compile(_ARMOUR)
_METHOD = re.compile(rb"^METHOD[ \t]*[:;]", re.MULTILINE | re.IGNORECASE)
_COMMENT = re.compile(rb"\([^()]*\)")

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))


def content_of(header: Header, entity: Entity, sender: Address | None) -> PassThrough | None:
    """Return why nothing in the message of a header may be touched, or None.

    Where several reasons hold, that of the outermost, first part comes first and `dkim_signed`,
    which a policy may let pass, last: no other reason hides behind it.
    """
    return next(_reasons(header, entity, sender), None)


def _reasons(header: Header, entity: Entity, sender: Address | None) -> Iterator[PassThrough]:
    raw, parts = header.raw, tuple(walk_entities(entity))
    for part in parts:
        reason = _reason_of_part(raw, part)
        if reason is not None:
            yield PassThrough(reason, f"part {part.path}: {part.media_type}")
    for value in header.values(b"auto-submitted"):
        if _keyword(value) != b"no":
            yield PassThrough(PassReason.AUTOMATIC, f"Auto-Submitted: {_shown(value)}")
    if sender is None:
        yield PassThrough(PassReason.NULL_SENDER)
    for part in parts:
        if _has_armour(raw, part):
            yield PassThrough(PassReason.PGP_INLINE, f"part {part.path}")
    if header.value(b"dkim-signature") is not None:
        yield PassThrough(PassReason.DKIM_SIGNED)


def _reason_of_part(raw: bytes, part: Entity) -> PassReason | None:
    known = _BY_TYPE.get(part.media_type)
    if known is not None or part.media_type.startswith(("multipart/", "message/")):
        return known
    if part.media_type == "text/calendar":
        return PassReason.CALENDAR if _is_invitation(raw, part) else None
    if part.media_type.startswith("text/"):
        return None
    header = read_header(raw, part.start, part.body)
    if part.media_type in _PKCS7:
        return _reason_of_pkcs7(header)
    name = _file_name(header)
    if name == "winmail.dat":
        return PassReason.TNEF
    suffix = name[name.rfind(".") :] if "." in name else ""
    return _BY_SUFFIX.get(suffix) if part.media_type == "application/octet-stream" else None


def _reason_of_pkcs7(header: Header) -> PassReason:
    said = parse_structured(header.value(b"content-type") or b"").parameters
    # RFC 8551 3.2.2: signed-data and certs-only hide nothing, but no byte may change.
    clear = said.get("smime-type", "").lower() in {"signed-data", "certs-only"}
    return PassReason.SIGNED if clear else PassReason.ENCRYPTED


def _is_invitation(raw: bytes, part: Entity) -> bool:
    # RFC 6047 2.4 asks for the parameter, RFC 5546 1.4 for the property; either is enough.
    header = read_header(raw, part.start, part.body)
    said = parse_structured(header.value(b"content-type") or b"").parameters
    return "method" in said or _METHOD.search(_readable(raw, part)) is not None


def _has_armour(raw: bytes, part: Entity) -> bool:
    if not part.media_type.startswith("text/") or part.disposition == "attachment":
        return False
    armour = _ARMOUR_IN_HTML if part.media_type == "text/html" else _ARMOUR_IN_TEXT
    return armour.search(_readable(raw, part)) is not None


def _readable(raw: bytes, part: Entity) -> bytes:
    """Return a leaf's text as a lenient reader sees it; ASCII stays ASCII, UTF-16 too.

    Only to look at: what is broken is read as far as it goes.
    """
    body = raw[part.body : part.end]
    if part.encoding == "quoted-printable":
        body = binascii.a2b_qp(body)
    elif part.encoding == "base64":
        digits = body.translate(None, delete=_NOT_BASE64)
        body = b64decode(digits[: len(digits) // 4 * 4] + _rest_of(digits))
    return body.replace(b"\0", b"")


def _rest_of(digits: bytes) -> bytes:
    """Return the last, incomplete quantum with its padding; one digit alone is no byte."""
    rest = digits[len(digits) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _file_name(header: Header) -> str:
    for field, parameter in ((b"content-disposition", "filename"), (b"content-type", "name")):
        said = parse_structured(header.value(field) or b"").parameters
        if parameter in said:
            return said[parameter].strip().lower()
    return ""


def _keyword(value: bytes) -> bytes:
    # RFC 3834 5: a keyword, then parameters; comments may stand around it.
    return _COMMENT.sub(b"", value).partition(b";")[0].strip().lower()


def _shown(value: bytes) -> str:
    return value.decode("ascii", "replace")[:80]
