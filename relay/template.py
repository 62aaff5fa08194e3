"""A message with blanks: compiled once at acceptance, stamped for each copy.

What there are hundreds of in a message are tuples, which are made in half the time.
"""

from binascii import b2a_base64
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from relay.mail import Signing
from relay.verdict import Clicks, PassThrough

TEMPLATE_VERSION = 2
"""1 had no `signing`."""

LONG_BYTES = 256 * 1024
"""Stretches of what is longer are looked at where they stand; of less a copy is made sooner."""


class SlotKind(StrEnum):
    """What a blank is for."""

    PIXEL = "pixel"
    LINK = "link"


class SlotEncoding(StrEnum):
    """How the token is written into its blank."""

    LITERAL = "literal"
    """The 36 characters themselves: 7bit, 8bit, binary and quoted-printable."""
    BASE64 = "base64"
    """The base64 of `lead + token + tail`: whole quanta, 48 or 52 characters on one line."""


class Slot(NamedTuple):
    """One blank of fixed length, and how to write into it."""

    kind: SlotKind
    number: int
    """0 is the pixel, 1 to 4095 the links; the same in every layout of the message."""
    encoding: SlotEncoding = SlotEncoding.LITERAL
    lead: bytes = b""
    """Constant decoded bytes before the token in its quanta; base64 only."""
    tail: bytes = b""
    """Constant decoded bytes after the token in its quanta; base64 only."""
    html: bool = True
    """It stands in text/html, else in text/plain."""

    def fill(self, token: bytes) -> bytes:
        """Return what stands in the blank for a token."""
        if self.encoding is SlotEncoding.LITERAL:
            return token
        return b2a_base64(self.lead + token + self.tail, newline=False)


class Edit(NamedTuple):
    """What replaces `text[start:end]` of a decoded body: literal bytes and slots, in order.

    Its slots are literal: how they are written is for the transfer encoding of the body to say.
    """

    start: int
    end: int
    """Equal to start where something is only inserted."""
    pieces: tuple[bytes | Slot, ...]
    """Empty where something is only removed."""


class Span(NamedTuple):
    """A stretch `original[start:end]` that is kept as it is."""

    start: int
    end: int


Segment = bytes | Span | Slot


class Link(NamedTuple):
    """A tracked link of the message, in one part.

    What is in text/html and in text/plain is one link: both have its number and destination.
    """

    number: int
    """Of its slots."""
    part: str
    url: str
    """The destination as the mail had it, serialised by the URL Standard, fragment included."""
    destination: bytes
    """What stands after the token in our URL and is signed: no scheme, no fragment."""
    https: bool
    text: str
    """What the reader sees, shortened; the alt of a linked image."""


@dataclass(frozen=True, slots=True)
class LeftLink:
    """A link that was looked at and left alone."""

    part: str
    url: str
    text: str
    reason: PassThrough


@dataclass(frozen=True, slots=True)
class PartNote:
    """What became of one leaf part."""

    part: str
    media_type: str
    reason: PassThrough | None
    """None: something in it is tracked."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments for one treatment: what `opens` and `clicks` put in."""

    opens: bool
    clicks: Clicks
    segments: tuple[Segment, ...]
    """In order; joined, with slots filled, they are the copy as it goes on the wire."""

    def fill(self, original: bytes, token: bytes) -> bytes:
        """Return the layout of `original` with one and the same token in every slot."""
        pieces: list[bytes | memoryview] = []
        kept = original if len(original) < LONG_BYTES else memoryview(original)
        for segment in self.segments:
            if isinstance(segment, bytes):
                pieces.append(segment)
            elif isinstance(segment, Span):
                start, end = segment
                pieces.append(kept[start:end])
            else:
                pieces.append(segment.fill(token))
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled message.

    Law: with every slot given back what stood there, each layout is the original.

    Where its copies are signed anew the layouts lack the DKIM-Signature fields of the original.
    """

    original: bytes
    """What goes out untracked, ready for the wire but for the full stop that ends DATA.

    Dot-stuffed and with its Received, without Bcc and our control fields.
    """
    layouts: tuple[Layout, ...]
    """One for each distinct (opens, clicks) of the treatments in which anything is tracked."""
    base_url: str
    """Of the sender's tracking host, without a final slash."""
    links: tuple[Link, ...] = ()
    """Those of HTML parts first."""
    left: tuple[LeftLink, ...] = ()
    parts: tuple[PartNote, ...] = ()
    passed: PassThrough | None = None
    """Why no layout tracks anything."""
    version: int = TEMPLATE_VERSION
    signing: Signing | None = None
    """Who signs the copies that have a layout; the original keeps its own signatures."""
