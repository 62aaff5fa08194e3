"""The message as it leaves: what is dropped and put in front, and dots doubled.

Nothing else differs from what was submitted.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from relay.template import Segment, Slot, Span

_LINE_END = b"\r\n"
_LINE_FEED, _DOT_BYTE = b"\n."


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A submission as it leaves untracked, and where in it a dot is doubled on the wire."""

    text: bytes
    """With Received, without the dropped fields."""
    wire: bytes
    """The same with dots doubled (RFC 5321 4.5.2); the very same where there are none."""
    body: int
    """Where in `text` the body of the message begins."""
    dots: tuple[int, ...]
    """The offsets in `text` of the dots that begin a line."""


def make_outgoing(
    raw: bytes, body: int, received: bytes, dropped: Iterable[tuple[int, int]]
) -> Outgoing:
    """Return a message with `received` before its header, which ends at `body`.

    `dropped` are stretches of the header, in order.
    """
    pieces, position = [received], 0
    for start, end in dropped:
        pieces.append(raw[position:start])
        position = end
    if body == 0 and not raw.startswith(_LINE_END):
        pieces.append(_LINE_END)  # a message without a header keeps its first line in its body
    pieces.append(raw[position:])
    text = b"".join(pieces)
    dots = tuple([match.end() - 1 for match in _DOT.finditer(text)])
    if text.startswith(b"."):
        dots = (0, *dots)
    lines = [text[start:end] for start, end in pairwise((0, *dots, len(text)))]
    wire = b".".join(lines) if dots else text
    return Outgoing(text, wire, len(text) - len(raw) + body, dots)


_DOT = re.compile(rb"\r\n\.")


def double_dots(text: bytes, *, line_start: bool) -> bytes:
    """Return text as it goes on the wire (RFC 5321 4.5.2)."""
    # In a long text the pattern is quicker than replace where there is nothing to replace.
    doubled = text.replace(b"\r\n.", b"\r\n..") if _DOT.search(text) else text
    return b"." + doubled if line_start and text.startswith(b".") else doubled


def single_dots(wire: bytes) -> bytes:
    """Return what a server makes of content on the wire: the text that was given to double_dots."""
    text = wire.replace(b"\r\n..", b"\r\n.")
    return text[1:] if text.startswith(b"..") else text


def lay_out(outgoing: Outgoing, segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Return segments over `text` as segments over `wire`.

    Law: joined they are the wire form of what the given ones are joined.
    """
    text, dots = outgoing.text, (*outgoing.dots, len(outgoing.text))
    laid: list[Segment] = []
    line_start = True
    before = 0
    for segment in segments:
        if isinstance(segment, Slot):
            laid.append(segment)  # no token begins with a dot
            line_start = False
        elif isinstance(segment, bytes):
            if segment.startswith(b".") or b"\n." in segment:
                laid.append(double_dots(segment, line_start=line_start))
            elif segment:
                laid.append(segment)
            line_start = segment.endswith(b"\n") if segment else line_start
        else:
            start, end = segment
            if start >= end:
                continue
            before = bisect_left(dots, start, before) if start > dots[before] else before
            until = bisect_left(dots, end, before) if end > dots[before] else before
            if text[start] == _DOT_BYTE and line_start != (dots[before] == start):
                if line_start:
                    laid.append(b".")
                else:
                    start += 1
            laid.append(Span(start + before, end + until))
            line_start = text[end - 1] == _LINE_FEED
    return tuple(laid)
