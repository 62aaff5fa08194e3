"""The stored form of a Template: one row of bytes, versioned.

After `IT` and the version come numbers (LEB128) and texts (length, bytes), in the order of the
fields.  What is not in the original is stored once; spans are a distance and a length.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.mail import Signing
from relay.template import (
    TEMPLATE_VERSION,
    Layout,
    LeftLink,
    Link,
    PartNote,
    Segment,
    Slot,
    SlotEncoding,
    SlotKind,
    Span,
    Template,
)
from relay.verdict import Clicks, PassReason, PassThrough

_MAGIC = b"IT"
_SPAN, _BYTES, _SLOT = range(3)
_WITH_SIGNING = 2
"""The version from which on it is there."""


_KINDS = {kind.encode(): kind for kind in SlotKind}
_ENCODINGS = {encoding.encode(): encoding for encoding in SlotEncoding}
_SHORT = tuple(bytes([number]) for number in range(128))
"""The numbers of one byte, which nearly all are."""


def _number(value: int) -> bytes:
    """Return a number of seven bits a byte, the lowest first."""
    if 0 <= value < 1 << 7:
        return _SHORT[value]
    if 0 <= value < 1 << 14:
        return bytes((value & 127 | 128, value >> 7))
    low = bytearray()
    while value > 127:  # noqa: PLR2004 - seven bits a byte
        low.append(value & 127 | 128)
        value >>= 7
    low.append(value)
    return bytes(low)


def _slot_words(kind: SlotKind, encoding: SlotEncoding) -> bytes:
    words = (kind.encode(), encoding.encode())
    return b"".join(_number(len(word)) + word for word in words)


_SLOT_WORDS = {(kind, each): _slot_words(kind, each) for kind in SlotKind for each in SlotEncoding}


class PackError(Exception):
    """Stored bytes are no template that this version can read; the text says why, and the mend."""


def pack_template(template: Template) -> bytes:
    """Return the stored form.

    Law: unpack_template returns the template it was made from.
    """
    out = _Writer()
    out.text(template.original)
    out.string(template.base_url)
    out.passed_or_none(template.passed)
    out.number(len(template.links))
    _pack_links(out, template.links)
    out.number(len(template.left))
    for left in template.left:
        out.string(left.part)
        out.string(left.url)
        out.string(left.text)
        out.passed(left.reason)
    out.number(len(template.parts))
    for part in template.parts:
        out.string(part.part)
        out.string(part.media_type)
        out.passed_or_none(part.reason)
    out.number(len(template.layouts))
    for layout in template.layouts:
        _pack_layout(out, layout)
    if template.version >= _WITH_SIGNING:
        _pack_signing(out, template.signing)
    return b"".join((_MAGIC, bytes([template.version]), *out.pieces))


def unpack_template(stored: bytes) -> Template:
    """Return the template.

    Raises PackError where the bytes are damaged, or written by a newer version.
    """
    if not stored.startswith(_MAGIC) or len(stored) <= len(_MAGIC):
        msg = "a stored message is damaged at byte 0; restore spool.db from a backup"
        raise PackError(msg)
    version = stored[len(_MAGIC)]
    if version > TEMPLATE_VERSION:
        msg = (
            f"a stored message has version {version}, this relay reads up to {TEMPLATE_VERSION}:"
            " it was written by a newer one; start that again until the queue is empty"
        )
        raise PackError(msg)
    read = _Reader(stored, len(_MAGIC) + 1)
    try:
        template = _unpack(read, version)
    except (LookupError, ValueError) as error:
        msg = f"a stored message is damaged at byte {read.position}; restore spool.db from a backup"
        raise PackError(msg) from error
    return template


def _pack_signing(out: "_Writer", signing: Signing | None) -> None:
    out.number(signing is not None)
    if signing is not None:
        out.string(signing.domain)
        out.string(signing.selector)


# Of links and segments there are hundreds: they are written without a call for each word.
def _pack_links(out: "_Writer", links: Iterable[Link]) -> None:
    pieces = out.pieces
    for number, part, url, destination, https, text in links:
        pieces.append(_number(number << 1 | https))
        for word in (part.encode(), url.encode(), destination, text.encode()):
            pieces += (_number(len(word)), word)


def _pack_layout(out: "_Writer", layout: Layout) -> None:
    out.number(layout.opens)
    out.string(layout.clicks)
    out.number(len(layout.segments))
    pieces, position = out.pieces, 0
    for segment in layout.segments:
        if isinstance(segment, bytes):
            pieces += (_SHORT[_BYTES], _number(len(segment)), segment)
        elif isinstance(segment, Span):
            # Spans come in order, so each begins at or after the end of the one before.
            start, end = segment
            pieces += (_SHORT[_SPAN], _number(start - position), _number(end - start))
            position = end
        else:
            kind, number, encoding, lead, tail, html = segment
            pieces += (_SHORT[_SLOT], _number(number << 1 | html), _SLOT_WORDS[kind, encoding])
            pieces += (_number(len(lead)), lead, _number(len(tail)), tail)


def _unpack(read: "_Reader", version: int) -> Template:
    original, base_url = read.text(), read.string()
    passed = read.passed_or_none()
    links = tuple(_unpack_link(read) for _ in range(read.number()))
    left = tuple(
        LeftLink(read.string(), read.string(), read.string(), read.passed())
        for _ in range(read.number())
    )
    parts = tuple(
        PartNote(read.string(), read.string(), read.passed_or_none()) for _ in range(read.number())
    )
    layouts = tuple(_unpack_layout(read) for _ in range(read.number()))
    signing = None
    if version >= _WITH_SIGNING and read.number():
        signing = Signing(read.string(), read.string())
    if read.position != len(read.stored):
        msg = "bytes are left over"
        raise ValueError(msg)
    return Template(original, layouts, base_url, links, left, parts, passed, version, signing)


def _unpack_link(read: "_Reader") -> Link:
    number = read.number()
    part, url = read.string(), read.string()
    destination = read.text()
    return Link(number >> 1, part, url, destination, bool(number & 1), read.string())


def _unpack_layout(read: "_Reader") -> Layout:
    opens, clicks = bool(read.number()), Clicks(read.string())
    segments: list[Segment] = []
    position = 0
    for _ in range(read.number()):
        kind = read.number()
        if kind == _SPAN:
            start = position + read.number()
            position = start + read.number()
            segments.append(Span(start, position))
        elif kind == _BYTES:
            segments.append(read.text())
        else:
            number = read.number()
            segments.append(
                Slot(
                    _KINDS[read.text()],
                    number >> 1,
                    _ENCODINGS[read.text()],
                    read.text(),
                    read.text(),
                    bool(number & 1),
                )
            )
    return Layout(opens, clicks, tuple(segments))


class _Writer:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def number(self, value: int) -> None:
        self.pieces.append(_number(value))

    def text(self, value: bytes) -> None:
        self.number(len(value))
        self.pieces.append(value)

    def string(self, value: str) -> None:
        self.text(value.encode())

    def passed(self, value: PassThrough) -> None:
        self.string(value.reason)
        self.string(value.detail)

    def passed_or_none(self, value: PassThrough | None) -> None:
        self.number(value is not None)
        if value is not None:
            self.passed(value)


@dataclass(slots=True)
class _Reader:
    stored: bytes
    position: int

    def number(self) -> int:
        value = self.stored[self.position]
        if value < len(_SHORT):
            self.position += 1
            return value
        value = shift = 0
        while True:
            byte = self.stored[self.position]
            self.position += 1
            value |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004 - the last byte of a number
                return value
            shift += 7

    def text(self) -> bytes:
        length = self.number()
        start = self.position
        end = start + length
        if end > len(self.stored):
            raise IndexError(end)
        self.position = end
        return self.stored[start:end]

    def string(self) -> str:
        return self.text().decode()

    def passed(self) -> PassThrough:
        return PassThrough(PassReason(self.string()), self.string())

    def passed_or_none(self) -> PassThrough | None:
        return self.passed() if self.number() else None
