"""A part's body as text to edit: decoded, masked, and spliced back.

Outside the edits the encoded bytes stay as they are; in base64, up to the first edit.
What can not be decoded without doubt is passed through.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pybase64 import b64encode

from ledger.token import TOKEN_CHARACTERS
from relay.mail import Entity
from relay.mime.charset import MASKED, Charset, find_charset
from relay.mime.quanta import decode_base64, splice_base64
from relay.mime.quoted import decode_quoted, splice_quoted
from relay.mime.segments import Draft
from relay.template import LONG_BYTES, Edit, Segment, Slot
from relay.verdict import PassReason, PassThrough

MAX_LINE = 998  # RFC 5322 2.1.1, without its line end

_APART = 2  # bytes on both sides of a blank
_TOGETHER = frozenset((b"\r\n", bytes((MASKED, MASKED))))
_LINE_ENDS = (b"\r", b"\n")


class TransferEncoding(StrEnum):
    """How the body's bytes are written (RFC 2045 6)."""

    IDENTITY = "identity"
    QUOTED = "quoted-printable"
    BASE64 = "base64"


_ENCODINGS = {
    "7bit": TransferEncoding.IDENTITY,
    "8bit": TransferEncoding.IDENTITY,
    "binary": TransferEncoding.IDENTITY,
    "quoted-printable": TransferEncoding.QUOTED,
    "base64": TransferEncoding.BASE64,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body `raw[start:end]` as text."""

    raw: bytes = field(repr=False)
    """The whole message."""
    start: int
    end: int
    encoding: TransferEncoding
    charset: Charset
    text: bytes = field(repr=False)
    """The body without its transfer encoding."""
    mask: bytes = field(repr=False)
    """The text, with 0x80 for each byte that is not an ASCII character by itself."""

    def decode(self, start: int, end: int) -> str:
        """Return the characters of `text[start:end]`, for display."""
        return self.charset.decode(self.text[start:end])


@dataclass(frozen=True, slots=True)
class Spliced:
    """A body with edits applied, in its transfer encoding."""

    segments: tuple[Segment, ...]
    """Spans count from the start of the message."""
    text: bytes = field(repr=False)
    """What they decode to, with one and the same token in every slot."""


def decode_body(raw: bytes, entity: Entity) -> Decoded | PassThrough:
    """Return the body of a leaf as text, or why it is left alone.

    Law: it never raises.
    """
    if entity.opaque:
        return PassThrough(PassReason.BROKEN_STRUCTURE, entity.media_type)
    # RFC 2045 6.4: what is encoded in an unknown way is nothing to be shown.
    encoding = _ENCODINGS.get(entity.encoding)
    if encoding is None:
        return PassThrough(PassReason.UNKNOWN_ENCODING, entity.encoding)
    charset = find_charset(entity.charset)
    if charset is None:
        return PassThrough(PassReason.UNKNOWN_CHARSET, entity.charset)
    text = _decode(encoding, raw[entity.body : entity.end])
    if text is None:
        return PassThrough(PassReason.BROKEN_ENCODING, entity.encoding)
    mask = charset.mask(text)
    if mask is None:
        return PassThrough(PassReason.BROKEN_CHARSET, entity.charset)
    return Decoded(raw, entity.body, entity.end, encoding, charset, text, mask)


def decodes_to(raw: bytes, entity: Entity, spliced: Spliced) -> bool:
    """Tell whether the body of a leaf is what `spliced` is said to decode to.

    Law: decode_body has that text then.
    """
    encoding = _ENCODINGS.get(entity.encoding)
    if encoding is TransferEncoding.IDENTITY:
        same_length = entity.end - entity.body == len(spliced.text)
        return same_length and raw.startswith(spliced.text, entity.body)
    body = raw[entity.body : entity.end]
    match encoding:
        case TransferEncoding.QUOTED:
            # What is kept was decoded before; only in what is written could an `=` encode nothing.
            written = [part for part in spliced.segments if isinstance(part, bytes)]
            clean = decode_quoted(b"\n".join(written)) is not None
            return clean and binascii.a2b_qp(body) == spliced.text
        case TransferEncoding.BASE64:
            # There is one way to encode it, and that takes less than to decode and look closely.
            return body.translate(None, b"\r\n") == b64encode(spliced.text)
        case _:
            return False


def apply_edits(text: bytes, edits: Sequence[Edit]) -> bytes:
    """Return a text with edits, in order, made and one and the same token in every blank."""
    pieces: list[bytes | memoryview | Slot] = []
    kept = text if len(text) < LONG_BYTES else memoryview(text)
    at = 0
    for start, end, written in edits:
        pieces += (kept[at:start], *written)
        at = end
    pieces.append(kept[at:])
    return b"".join([_TOKEN if isinstance(piece, Slot) else piece for piece in pieces])


_TOKEN = b"A" * TOKEN_CHARACTERS


def too_long(decoded: Decoded, edits: Sequence[Edit]) -> frozenset[int]:
    """Return the indexes of the edits without which no line grows over MAX_LINE.

    Edits count in order, so the last ones on a full line are named.  A line that is longer already
    may grow.  Only where lines are not encoded; the other encodings break their lines.

    Law: without the edits named no line is over MAX_LINE that was not, and no more are named then.
    """
    if decoded.encoding is not TransferEncoding.IDENTITY:
        return frozenset()
    return _too_long(decoded.text, edits, apply_edits(decoded.text, edits))


def splice_body(decoded: Decoded, edits: Sequence[Edit]) -> Spliced | PassThrough:
    """Return the body with the edits applied to its text, or why that can not be.

    Edits are in order and do not overlap; neither end of one stands between two masked bytes or
    within CRLF.  A blank stands between literals of its own edit, each of two bytes or more; the
    one before does not end a line.

    Law: without edits the segments are the body; filled, they decode to the text with the edits.
    Law: stretches between edits keep their encoded bytes, but for soft line breaks beside edits,
    and in base64 behind the first edit.
    Law: no encoded line is over 76 characters, and no other over MAX_LINE, that was not before.

    Raises ValueError where the edits are not as said.
    """
    _check(decoded, edits)
    if not edits:
        draft = Draft()
        draft.keep(decoded.start, decoded.end)
        return Spliced(draft.close(), decoded.text)
    text = apply_edits(decoded.text, edits)
    if decoded.encoding is TransferEncoding.IDENTITY:
        over = _too_long(decoded.text, edits, text)
        if over:
            return PassThrough(PassReason.LINE_TOO_LONG, f"{len(over)} of {len(edits)} edits")
        return Spliced(_splice_identity(decoded, edits), text)
    body, base = decoded.raw[decoded.start : decoded.end], decoded.start
    # As the empty line before the body ends.
    line_end = b"\r\n" if decoded.raw.endswith(b"\r\n", 0, base) else b"\n"
    if decoded.encoding is TransferEncoding.BASE64:
        return Spliced(splice_base64(decoded.text, body, base, line_end, edits), text)
    segments = splice_quoted(body, base, line_end, edits)
    return segments if isinstance(segments, PassThrough) else Spliced(segments, text)


def _decode(encoding: TransferEncoding, body: bytes) -> bytes | None:
    if encoding is TransferEncoding.QUOTED:
        return decode_quoted(body)
    if encoding is TransferEncoding.BASE64:
        return decode_base64(body)
    return body


def _splice_identity(decoded: Decoded, edits: Sequence[Edit]) -> tuple[Segment, ...]:
    draft = Draft()
    base = decoded.start
    at = 0
    for start, end, pieces in edits:
        draft.keep(base + at, base + start)
        draft.add(pieces)
        at = end
    draft.keep(base + at, base + len(decoded.text))
    return draft.close()


def _too_long(text: bytes, edits: Sequence[Edit], edited: bytes) -> frozenset[int]:
    if _lines_fit(edited):
        return frozenset()
    over: set[int] = set()
    at = line_start = column = 0
    line_end = -1
    for index, edit in enumerate(edits):
        newline = text.rfind(b"\n", at, edit.start)
        if newline >= 0:
            line_start, column = newline + 1, edit.start - newline - 1
        else:
            column += edit.start - at
        if edit.end > line_end:
            line_end = _line_content_end(text, edit.end)
        at = edit.end
        replaced = text.rfind(b"\n", edit.start, at)
        before = line_end - line_start if replaced < 0 else _longest(text[line_start:line_end])
        longest, after = _measure(column, edit.pieces)
        if before <= MAX_LINE < max(longest, after + line_end - at):
            over.add(index)
            after = column + at - edit.start if replaced < 0 else at - replaced - 1
        line_start, column = max(line_start, replaced + 1), after
    return frozenset(over)


def _lines_fit(text: bytes) -> bool:
    """Tell whether no line is over MAX_LINE, by one look for each so many bytes."""
    at = 0
    while len(text) - at > MAX_LINE:
        at = text.rfind(b"\n", at, at + MAX_LINE + 1) + 1
        if not at:
            return False
    return True


def _line_content_end(text: bytes, at: int) -> int:
    end = text.find(b"\n", at)
    if end < 0:
        return len(text)
    return end - text.endswith(b"\r", at, end)


def _longest(lines: bytes) -> int:
    return max(len(line.rstrip(b"\r")) for line in lines.split(b"\n"))


def _measure(column: int, pieces: Sequence[bytes | Slot]) -> tuple[int, int]:
    """Return the longest line that pieces end, and how long they leave the last one."""
    longest = 0
    for piece in pieces:
        if isinstance(piece, Slot):
            column += TOKEN_CHARACTERS
            continue
        *ended, last = piece.split(b"\n")
        for line in ended:
            longest, column = max(longest, column + len(line.rstrip(b"\r"))), 0
        column += len(last)
    return longest, column


def _check(decoded: Decoded, edits: Sequence[Edit]) -> None:
    mask, at = decoded.mask, 0
    for edit in edits:
        start, end, pieces = edit
        if not at <= start <= end <= len(mask):
            msg = f"{edit} overlaps the one before or the end"
            raise ValueError(msg)
        if not _TOGETHER.isdisjoint((mask[start - 1 : start + 1], mask[end - 1 : end + 1])):
            msg = f"{edit} may split a character or a line end"
            raise ValueError(msg)
        if pieces and not _blanks_stand_apart(pieces):
            msg = f"{edit} has a blank that does not stand between two bytes and two"
            raise ValueError(msg)
        at = end


def _blanks_stand_apart(pieces: tuple[bytes | Slot, ...]) -> bool:
    # In quoted-printable a token does not begin a line; in base64 its quanta have no other's bytes.
    before: bytes | Slot = b""
    for piece in pieces:
        if isinstance(piece, Slot):
            if isinstance(before, Slot) or len(before) < _APART or before.endswith(_LINE_ENDS):
                return False
        elif isinstance(before, Slot) and len(piece) < _APART:
            return False
        before = piece
    return not isinstance(before, Slot)
