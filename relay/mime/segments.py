"""Segments being put together, merged where they touch."""

from collections.abc import Callable, Iterable

from relay.template import Segment, Slot, Span


class Draft:
    """Collects what a body is to be made of, in order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._done: list[Segment] = []
        self._text: list[bytes] = []

    def keep(self, start: int, end: int) -> None:
        """Add a stretch of the original."""
        if start >= end:
            return
        done = self._done
        if self._text:
            self._flush()
        elif done and isinstance(done[-1], Span) and done[-1].end == start:
            start = done[-1].start
            done.pop()
        done.append(Span(start, end))

    def write(self, text: bytes) -> None:
        """Add new bytes."""
        if text:
            self._text.append(text)

    def add(self, pieces: Iterable[bytes | Slot]) -> None:
        """Add new bytes and blanks."""
        done, text = self._done, self._text
        for piece in pieces:
            if isinstance(piece, bytes):
                text.append(piece)
            else:
                if text:
                    self._flush()
                done.append(piece)

    def leave(self, slot: Slot) -> None:
        """Add a blank."""
        if self._text:
            self._flush()
        self._done.append(slot)

    def close(self) -> tuple[Segment, ...]:
        """Return all that was added."""
        self._flush()
        return tuple(self._done)

    def _flush(self) -> None:
        text = b"".join(self._text)
        if text:
            self._done.append(text)
        self._text.clear()


def fill_segments(
    raw: bytes, segments: Iterable[Segment], written: Callable[[Slot], bytes]
) -> bytes:
    """Return the bytes that segments stand for, each slot as `written` says."""
    return b"".join(_bytes_of(raw, segment, written) for segment in segments)


def _bytes_of(raw: bytes, segment: Segment, written: Callable[[Slot], bytes]) -> bytes:
    if isinstance(segment, bytes):
        return segment
    if isinstance(segment, Span):
        return raw[segment.start : segment.end]
    return written(segment)
