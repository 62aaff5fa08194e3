"""The message as it leaves: what is dropped and put in front, and dots doubled.

Nothing else differs from what was submitted.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from relay.mime.segments import Draft
from relay.template import Segment, Slot, Span

_LINE_END = b"\r\n"


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

    def place(self, offset: int) -> int:
        """Return where a byte of the body stands in `wire`: the doubled dot before it excluded."""
        return len(self.header) + offset - self.body + bisect_left(self.dots, offset)


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
    text = double_dots(raw[body:], line_start=True)
    dots = tuple(match.end() - 1 for match in _DOT.finditer(raw, max(0, body - 2)))
    if body == 0 and raw.startswith(b"."):
        dots = (0, *dots)
    return Outgoing(raw, header + text, body, header, dots)


_DOT = re.compile(rb"\r\n\.")


def double_dots(text: bytes, *, line_start: bool) -> bytes:
    """Return text as it goes on the wire (RFC 5321 4.5.2)."""
    doubled = text.replace(b"\r\n.", b"\r\n..")
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
    laid = _Laid()
    at = 0
    for start, end in (*without, (len(outgoing.header), len(outgoing.header))):
        laid.draft.keep(at, start)
        at = end
    for segment in segments:
        match segment:
            case Span(start, end):
                if end > max(start, outgoing.body):
                    laid.span(outgoing, max(start, outgoing.body), end)
            case Slot():
                laid.slot(segment)
            case _:
                if segment:
                    laid.literal(segment)
    return laid.draft.close()


class _Laid:
    """What is laid out so far."""

    def __init__(self) -> None:
        self.draft = Draft()
        self.line_start = True

    def span(self, outgoing: Outgoing, start: int, end: int) -> None:
        place = outgoing.place(start)
        if outgoing.raw.startswith(b".", start):
            index = bisect_left(outgoing.dots, start)
            doubled = index < len(outgoing.dots) and outgoing.dots[index] == start
            if self.line_start and not doubled:
                self.draft.write(b".")
            elif doubled and not self.line_start:
                place += 1
        self.draft.keep(place, outgoing.place(end))
        self.line_start = outgoing.raw[end - 1 : end] == b"\n"

    def slot(self, slot: Slot) -> None:
        self.draft.leave(slot)  # no token begins with a dot
        self.line_start = False

    def literal(self, text: bytes) -> None:
        self.draft.write(double_dots(text, line_start=self.line_start))
        self.line_start = text.endswith(b"\n")
