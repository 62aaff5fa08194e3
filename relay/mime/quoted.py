"""Quoted-printable bodies: decoded, and spliced between their encoded bytes.

Untouched stretches keep their encoded bytes; soft line breaks are added beside edits only.
After a soft line break of ours no line begins with a dash, whatever the token, so that it is no
delimiter (RFC 2046 5.1.1), nor with a dot or `From `, which other programs alter.
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.token import TOKEN_CHARACTERS
from relay.mime.segments import Draft
from relay.template import Edit, Segment, Slot
from relay.verdict import PassReason, PassThrough

MAX_LINE = 76  # RFC 2045 6.7 (5): with the `=` of a soft line break

_ROOM = MAX_LINE - 1
_EQUALS = 0x3D
_BLANKS = (b" ", b"\t")
_BLANK_BYTES = b" \t"
_MAX_CARRIED = 30
"""Bytes of kept text that our last line takes along, so that the next begins with a safe one."""

_ENDS_HERE = re.compile(rb"[ \t]*(?:\r?\n|\Z)")
_BEFORE_END = (b"", b" ", b"\t", b"\r", b"\n")
_PLAIN = re.compile(rb"[ -~]*")
_TO_ENCODE = re.compile(rb"[^\t -<>-~]|[\t ]\Z")  # RFC 2045 6.7 (1), (3)
_UNSAFE = rb"[-.]|From "
_CARRIED = re.compile(rb"(?:=[0-9A-Fa-f]{2}|[^=\r\n]){0,%d}?(?!%b)" % (_MAX_CARRIED, _UNSAFE))
_LAST_SAFE = re.compile(rb"(?:=[0-9A-Fa-f]{2}|[^-.F=\r\n])[-.F]*\Z")
_LAST_SAFE_WITHIN = 16
_LONE_RETURN = re.compile(rb"=\r(?!\n)")
_TOO_LONG = PassThrough(PassReason.LINE_TOO_LONG, f"no place to break a line of {MAX_LINE}")


def decode_quoted(body: bytes) -> bytes | None:
    """Return the decoded bytes; None where an `=` begins neither an escape nor a soft break.

    White space at the end of a line is kept, as most readers do (RFC 2045 6.7 (3) drops it);
    8-bit bytes, long lines and lower-case escapes are taken as they are.
    """
    text = binascii.a2b_qp(body)
    soft = body.count(b"=\r\n")
    # An escape takes 3 bytes for 1, a soft break 3 or 2 (LF) for none, a last `=` 1 for none; the
    # decoder leaves in what is none of them, so that the text is longer than this.
    taken = 2 * body.count(b"=") + soft - body.endswith(b"=")
    if len(text) != len(body) - taken or _LONE_RETURN.search(body):
        return None
    return text


def splice_quoted(
    body: bytes, base: int, line_end: bytes, edits: Sequence[Edit]
) -> tuple[Segment, ...] | PassThrough:
    """Return the segments of the body, with the edits of its decoded text applied.

    `base` is the offset of the body in the message, new lines get `line_end`.  Lines stay within
    MAX_LINE, or within their own length where that is more.  PassThrough where that can not be, or
    where an edit stands beside white space at the end of a line, which some readers drop.
    """
    splicer = _Splicer(body, base, line_end)
    for change, following in pairwise([*_changes(body, edits), None]):
        assert change is not None, "None stands last"
        fault = splicer.apply(change, following.first if following else None)
        if fault is not None:
            return fault
    return splicer.close()


@dataclass(frozen=True, slots=True)
class _Change:
    """An edit in offsets of the encoded body."""

    first: int
    last: int
    pieces: tuple[bytes | Slot, ...]


def _changes(body: bytes, edits: Sequence[Edit]) -> list[_Change]:
    changes: list[_Change] = []
    at = text_at = 0
    for edit in edits:
        first = _advance(body, at, edit.start - text_at)
        at, text_at = _advance(body, first, edit.end - edit.start), edit.end
        changes.append(_Change(first, at, edit.pieces))
    return changes


def _advance(body: bytes, start: int, decoded: int) -> int:
    """Return the least offset so many decoded bytes after `start`; before a soft break, if there.

    The offset is the least fixed point of start + decoded + what escapes and soft breaks take
    before it, so it is reached from below in a few counts, each of a shorter stretch.
    """
    seen, goal = start, start + decoded
    while seen < goal:
        taken = 2 * body.count(b"=", seen, goal)
        # A soft break is counted where it is whole; it may have begun in the stretch before.
        taken += body.count(b"=\r\n", seen - 2 if seen > start else start, goal)
        seen, goal = goal, goal + taken
    return seen


class _Splicer:
    """Lays out edits line by line."""

    def __init__(self, body: bytes, base: int, line_end: bytes) -> None:
        """Begin at the start of the body."""
        self._body = body
        self._base = base
        self._line_end = line_end
        self._soft = b"=" + line_end
        self._draft = Draft()
        self._at = 0
        self._column = 0
        self._space = False
        """The line as it is ends in white space."""
        self._limit = _ROOM

    def close(self) -> tuple[Segment, ...]:
        """Return the segments, the rest of the body kept."""
        self._draft.keep(self._base + self._at, self._base + len(self._body))
        return self._draft.close()

    def apply(self, change: _Change, following: int | None) -> PassThrough | None:
        """Keep what stands before a change and write it; tell why where that can not be.

        `following` is where the next change begins.
        """
        first, last = change.first, change.last
        ends_here = self._ends_at(first)
        if ends_here and self._body[max(first - 1, 0) : first] in _BLANKS:
            return PassThrough(PassReason.BROKEN_ENCODING, "white space at the end of a line")
        carried = self._carried(last)
        self._limit = _ROOM - (_MAX_CARRIED if carried is None else carried)
        full = ends_here and self._column_at(first) > _ROOM
        if full and change.pieces:
            if not self._keep_with_break(first):
                return _TOO_LONG
            full = False
        self._keep(first)
        self._write(change.pieces)
        self._at = last
        if following != last and self._ends_at(last):
            if self._space:
                self._soft_break()  # else readers drop the space (RFC 2045 6.7 (3))
            return None
        return self._fit(following, None if full else carried)

    def _fit(self, following: int | None, carried: int | None) -> PassThrough | None:
        """Break the line where what is kept after a change would make it too long."""
        if not self._column:
            return None
        end = self._line_content_end()
        stop = end if following is None or following > end else following
        length = self._column + stop - self._at + (stop == following)
        if length <= MAX_LINE or length <= end - self._body.rfind(b"\n", 0, self._at) - 1:
            return None
        if carried is None or (carried and self._column + carried > _ROOM):
            return _TOO_LONG
        self._keep(min(self._at + carried, stop))
        self._soft_break()
        return None

    def _ends_at(self, at: int) -> bool:
        """Tell whether a line has nothing but white space from there on."""
        begins = self._body[at : at + 1] in _BEFORE_END  # quicker than the pattern, and mostly not
        return begins and _ENDS_HERE.match(self._body, at) is not None

    def _line_content_end(self) -> int:
        end = self._body.find(b"\n", self._at)
        if end < 0:
            return len(self._body)
        return end - self._body.endswith(b"\r", self._at, end)

    def _carried(self, last: int) -> int | None:
        """Return how much of the kept text our line takes along if a new one must begin.

        None where no line may begin within the next _MAX_CARRIED bytes.
        """
        if self._body[last - 1 : last] == b"\n":
            return 0  # it has begun a line before
        match = _CARRIED.match(self._body, last)
        return match.end() - last if match else None

    def _column_at(self, until: int) -> int:
        newline = self._body.rfind(b"\n", self._at, until)
        return until - (newline + 1 if newline >= 0 else self._at - self._column)

    def _keep(self, until: int) -> None:
        if until == self._at:
            return
        self._draft.keep(self._base + self._at, self._base + until)
        self._column = self._column_at(until)
        self._space = self._body[until - 1] in _BLANK_BYTES
        self._at = until

    def _keep_with_break(self, until: int) -> bool:
        """Keep a line that is full, but break it before one of its last characters."""
        match = _LAST_SAFE.search(self._body, max(self._at, until - _LAST_SAFE_WITHIN), until)
        if match is None:
            return False
        self._keep(match.start())
        self._soft_break()
        self._keep(until)
        return True

    def _write(self, pieces: tuple[bytes | Slot, ...]) -> None:
        held = b""
        for piece in pieces:
            if isinstance(piece, Slot):
                self._write_slot(held, piece)
                held = b""
                continue
            if held:
                self._fill(held)
            *lines, held = _encode(piece, self._line_end)
            for line in lines:
                self._fill(line)
                self._hard_break()
        self._fill(held)

    def _write_slot(self, before: bytes, blank: Slot) -> None:
        """Write what stands before a token, its last character on the token's line."""
        size = 3 if before[-3:-2] == b"=" else 1
        self._fill(before[:-size])
        last = before[-size:]
        if self._column + size + TOKEN_CHARACTERS > self._limit:
            self._soft_break()
        if not self._column:
            last = _guard(last)
        self._draft.write(last)
        self._draft.leave(blank)
        self._column += len(last) + TOKEN_CHARACTERS
        self._space = False

    def _fill(self, encoded: bytes) -> None:
        """Write encoded bytes, over several lines where they do not fit."""
        write = self._draft.write
        while encoded:
            room = self._limit - self._column
            if not self._column:
                encoded = _guard(encoded)
            if len(encoded) <= room:
                write(encoded)
                self._column += len(encoded)
                self._space = encoded.endswith(_BLANKS)
                return
            cut = _whole_characters(encoded, room)
            if cut > 0:
                write(encoded[:cut])
                encoded = encoded[cut:]
            self._soft_break()

    def _soft_break(self) -> None:
        self._draft.write(self._soft)
        self._column = 0
        self._space = False

    def _hard_break(self) -> None:
        if self._space:
            self._soft_break()
        self._draft.write(self._line_end)
        self._column = 0


def _encode(literal: bytes, line_end: bytes) -> list[bytes]:
    """Return the encoded lines of decoded bytes, split where those have line ends."""
    if _PLAIN.fullmatch(literal):
        return [literal.replace(b"=", b"=3D")]
    return [_TO_ENCODE.sub(_escape, line) for line in literal.split(line_end)]


def _escape(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def _guard(encoded: bytes) -> bytes:
    """Escape a dash or dot with which a line would begin."""
    if encoded[:1] in (b"-", b"."):
        return b"=%02X" % encoded[0] + encoded[1:]
    return encoded


def _whole_characters(encoded: bytes, room: int) -> int:
    """Return the length of the longest part that fits and splits no escape; 0 or less: none."""
    for begun in (1, 2):
        if room >= begun and encoded[room - begun] == _EQUALS:
            return room - begun
    return room
