"""The message as it leaves: what is dropped and put in front, and dots doubled.

Nothing else differs from what was submitted.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, pairwise

from relay.template import Segment, Slot, Span

_LINE_END = b"\r\n"
_LINE_FEED, _DOT_BYTE = b"\n."


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A submission as it goes on the wire untracked, and where in it each of its bytes stands."""

    raw: bytes
    wire: bytes
    """With Received, without the dropped fields, dots doubled (RFC 5321 4.5.2)."""
    body: int
    """Where in `raw` the body of the message begins."""
    header: bytes
    """What of `wire` is before the body."""
    dots: tuple[int, ...]
    """The offsets in `raw`, from the body on, of the dots that begin a line."""

    def is_doubled(self, offset: int) -> bool:
        """Tell whether a byte of the body is a dot that is doubled on the wire."""
        index = bisect_left(self.dots, offset)
        return self.dots[index : index + 1] == (offset,)


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
    pieces.append(raw[position:body])
    if body == 0 and not raw.startswith(_LINE_END):
        pieces.append(_LINE_END)  # a message without a header keeps its first line in its body
    header = double_dots(b"".join(pieces), line_start=True)
    dots = tuple([match.end() - 1 for match in _DOT.finditer(raw, max(0, body - 2))])
    if body == 0 and raw.startswith(b"."):
        dots = (0, *dots)
    lines = [raw[start:end] for start, end in pairwise((body, *dots, len(raw)))]
    return Outgoing(raw, header + b".".join(lines), body, header, dots)


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


def lay_out(
    outgoing: Outgoing, segments: Iterable[Segment], without: Iterable[tuple[int, int]] = ()
) -> tuple[Segment, ...]:
    """Return segments over `raw`, the header among them whole, as segments over `wire`.

    `without` are stretches of the header on the wire that are left out, in order.

    Law: joined they are the wire form of what the given ones are joined.
    """
    raw, dots, body = outgoing.raw, outgoing.dots, outgoing.body
    shift = len(outgoing.header) - body
    laid: list[Segment] = _kept(len(outgoing.header), without)
    line_start = True
    for segment in segments:
        if isinstance(segment, bytes):
            if segment.startswith(b".") or b"\n." in segment:
                laid.append(double_dots(segment, line_start=line_start))
            elif segment:
                laid.append(segment)
            line_start = segment.endswith(b"\n") if segment else line_start
        elif isinstance(segment, Slot):
            laid.append(segment)  # no token begins with a dot
            line_start = False
        else:
            start, end = segment
            start = max(start, body)
            if end <= start:
                continue
            place, until = start + shift, end + shift
            if dots:  # the one before a dot that is doubled is not counted
                place, until = place + bisect_left(dots, start), until + bisect_left(dots, end)
            if raw[start] == _DOT_BYTE and line_start != outgoing.is_doubled(start):
                if line_start:
                    laid.append(b".")
                else:
                    place += 1
            laid.append(Span(place, until))
            line_start = raw[end - 1] == _LINE_FEED
    return tuple(laid)


def _kept(size: int, without: Iterable[tuple[int, int]]) -> list[Segment]:
    """Return the spans of `size` bytes without the stretches."""
    edges = [0, *chain.from_iterable(without), size]
    return [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
