"""Base64 bodies: decoded, and encoded again from the first edit on.

Everything before the quantum of the first edit keeps its encoded bytes.  A slot is whole quanta on
one line: the token with the bytes that share its first and last quantum, which never vary.
"""

import binascii
import re
from collections.abc import Sequence
from struct import unpack_from

from pybase64 import b64decode, b64encode

from ledger.token import TOKEN_CHARACTERS
from relay.mime.segments import Draft
from relay.template import Edit, Segment, Slot, SlotEncoding

MAX_LINE = 76  # RFC 2045 6.8

_BYTES = 3  # of a quantum, decoded
_CHARACTERS = 4  # of a quantum, encoded
_FIRST_LINE = re.compile(rb"[\r\n]*([^\r\n]+)(\r?\n[\r\n]*[^\r\n])?")


def decode_base64(body: bytes) -> bytes | None:
    """Return the decoded bytes; None unless the body is whole quanta, clean and canonical.

    Line ends may stand anywhere, but nothing else that is not of the alphabet: readers differ in
    what they make of it.

    Law: encoding what came back gives the characters of the body again.
    """
    core = body.rstrip(b"\r\n")
    padding = len(core) - len(core.rstrip(b"="))
    try:
        text = b64decode(core)
    except binascii.Error:
        return None
    # The decoder skips what is not of the alphabet and stops at padding: then bytes are missing.
    characters = (len(text) + padding) // _BYTES * _CHARACTERS
    if padding >= _BYTES or (len(text) + padding) % _BYTES:
        return None
    if not _line_ends_are(core, len(core) - characters):
        return None
    # RFC 4648 3.5: the bits left over by padding may be something else than zeros.
    if padding and not core.endswith(b64encode(text[padding - _BYTES :])):
        return None
    return text


def _line_ends_are(core: bytes, size: int) -> bool:
    """Tell whether a body has so many bytes of line ends, when no more are skipped."""
    width = core.find(b"\r\n")
    lines = len(core) // (width + 2)
    # Mostly lines are of one length: then two columns tell, which is far quicker than to count.
    columns = (core[width :: width + 2], core[width + 1 :: width + 2]) if width > 0 else ()
    if size == 2 * lines and columns == (b"\r" * lines, b"\n" * lines):
        return True
    return core.count(b"\n") + core.count(b"\r") == size


def splice_base64(
    text: bytes, body: bytes, base: int, line_end: bytes, edits: Sequence[Edit]
) -> tuple[Segment, ...]:
    """Return the segments of the body, which decodes to `text`, with the edits applied.

    `base` is the offset of the body in the message, new lines get `line_end`; there is at least
    one edit.  Line ends after the last character stay as they are.
    """
    core = body.rstrip(b"\r\n")
    first = edits[0].start // _BYTES * _BYTES
    kept = _raw_offset(core, first // _BYTES * _CHARACTERS)
    draft = Draft()
    draft.keep(base, base + kept)
    lines = _Lines(draft, line_end, _width(body), kept - body.rfind(b"\n", 0, kept) - 1)
    pending, blanks = _join(text, first, edits)
    for blank, following in blanks:
        whole = len(pending) // _BYTES * _BYTES
        lead = pending[whole:]
        missing = -len(lead) % _BYTES  # the token itself is whole quanta
        lines.write(b64encode(pending[:whole]))
        tail = following[:missing]
        lines.leave(Slot(blank.kind, blank.number, SlotEncoding.BASE64, lead, tail, blank.html))
        pending = following[missing:]
    lines.write(b64encode(pending))
    draft.keep(base + len(core), base + len(body))
    return draft.close()


def _width(body: bytes) -> int:
    """Return how long lines get: like the first one, and where it is the only one at least 76."""
    match = _FIRST_LINE.match(body)
    length = len(match[1]) if match else 0
    if match is None or match[2] is None:
        length = max(length, MAX_LINE)
    return max(length // _CHARACTERS, 1) * _CHARACTERS


class _Lines:
    """Lays encoded quanta out in lines."""

    def __init__(self, draft: Draft, line_end: bytes, width: int, column: int) -> None:
        """Go on in a line in which `column` characters stand."""
        self._draft = draft
        self._line_end = line_end
        self._width = width
        self._column = column

    def write(self, encoded: bytes) -> None:
        """Add encoded quanta."""
        room = max(self._width - self._column, 0) // _CHARACTERS * _CHARACTERS
        if len(encoded) <= room:
            self._column += len(encoded)
            self._draft.write(encoded)
            return
        lines = _cut(encoded, room if self._column else 0, self._width)
        self._draft.write((encoded[:room] + self._line_end) if self._column else b"")
        self._column = len(lines[-1])
        self._draft.write(self._line_end.join(lines))

    def leave(self, slot: Slot) -> None:
        """Add a slot; 48 or 52 characters, on a line of its own where lines are shorter."""
        quanta = -(-(len(slot.lead) + TOKEN_CHARACTERS + len(slot.tail)) // _BYTES)
        length = quanta * _CHARACTERS
        if self._column and self._column + length > self._width:
            self._draft.write(self._line_end)
            self._column = 0
        self._draft.leave(slot)
        self._column += length


def _cut(encoded: bytes, start: int, width: int) -> list[bytes]:
    """Return what stands from `start` on, in lines."""
    # Many lines in one step: a third of the time that a slice for each line takes.
    lines: list[bytes] = []
    while whole := min((len(encoded) - start) // width, _AT_ONCE):
        lines += unpack_from(f"{width}s" * whole, encoded, start)
        start += whole * width
    if start < len(encoded):
        lines.append(encoded[start:])
    return lines


_AT_ONCE = 32
"""Lines; the module keeps the forms it was asked for, a hundred of them."""


def _join(text: bytes, first: int, edits: Sequence[Edit]) -> tuple[bytes, list[tuple[Slot, bytes]]]:
    """Return the edited text from `first` to the first blank, then each blank and what follows."""
    head: list[bytes] = []
    blanks: list[tuple[Slot, list[bytes]]] = []
    now = head
    at = first
    for start, end, pieces in edits:
        now.append(text[at:start])
        at = end
        for piece in pieces:
            if isinstance(piece, Slot):
                now = []
                blanks.append((piece, now))
            else:
                now.append(piece)
    now.append(text[at:])
    return b"".join(head), [(blank, b"".join(following)) for blank, following in blanks]


def _raw_offset(core: bytes, characters: int) -> int:
    """Return the offset right after so many characters, line ends between them counted."""
    seen, goal = 0, characters
    while seen < goal:
        breaks = core.count(b"\n", seen, goal) + core.count(b"\r", seen, goal)
        seen, goal = goal, goal + breaks
    return seen
