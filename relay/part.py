"""One HTML part on its way into the layouts: its marks laid out, its pixel placed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from relay.link import LinkRules
from relay.mail import Entity
from relay.mark import (
    CLIP_BYTES,
    FoundLink,
    Marks,
    edits_hold,
    find_marks,
    growth,
    pixel_edit,
    pixel_places,
)
from relay.mime.encoding import (
    Decoded,
    Spliced,
    TransferEncoding,
    decode_body,
    splice_body,
    too_long,
)
from relay.template import Edit, LeftLink
from relay.verdict import PassReason, PassThrough


@dataclass(frozen=True, slots=True)
class HtmlPart:
    """A part that may carry marks."""

    entity: Entity
    decoded: Decoded
    marks: Marks
    base: str
    """Ours, serialised, with a final slash."""
    pixel: int | None = None
    """Its place in the decoded text."""
    clicks: bool = True
    """Whether `laid` has the links tracked."""
    laid: Spliced | None = field(default=None, repr=False)
    """The part with its marks."""

    @property
    def links(self) -> tuple[FoundLink, ...]:
        """The links that may be tracked."""
        return self.marks.links

    @property
    def left(self) -> tuple[LeftLink, ...]:
        """The links that are left alone."""
        return self.marks.left

    def edits(self, *, opens: bool, clicks: bool) -> tuple[Edit, ...]:
        """Return what is replaced, put in and taken out for one treatment, in order."""
        marks = self.marks
        edits = list(marks.stale)
        if clicks:
            edits += [link.tracked for link in marks.links]
        else:
            edits += [link.untracked for link in marks.links if link.untracked is not None]
        if opens and self.pixel is not None:
            edits.append(self._pixel_edit(self.pixel))
        return tuple(sorted(edits, key=_PLACE))

    def lay(self, *, opens: bool, clicks: bool) -> Spliced:
        """Return the part laid out for one treatment, which has no more marks than `laid`."""
        if self.laid is not None and clicks is self.clicks and (opens or self.pixel is None):
            return self.laid
        spliced = splice_body(self.decoded, self.edits(opens=opens, clicks=clicks))
        assert isinstance(spliced, Spliced), spliced  # more edits have been laid out
        return spliced

    @property
    def is_clipped(self) -> bool:
        """Whether Gmail clips it as it is laid out, the pixel not counted."""
        if self.laid is None or self.pixel is None:
            return False
        return len(self.laid.text) - growth(self._pixel_edit(self.pixel)) > CLIP_BYTES

    def _pixel_edit(self, place: int) -> Edit:
        """Return the edit for a pixel, with a line end where it is the last of the message.

        That stands on a line of its own, so that the last line, however long, does not grow; and
        SMTP ends every line (RFC 5321 2.3.8).
        """
        decoded = self.decoded
        last = place == len(decoded.text) and decoded.end == len(decoded.raw)
        line_end = b"\r\n" if last and decoded.encoding is not TransferEncoding.BASE64 else b""
        return pixel_edit(place, self.base, line_end)


_PLACE = itemgetter(0, 1)
"""Where an edit starts and ends."""


def read_part(
    raw: bytes, entity: Entity, rules: LinkRules, first_number: int
) -> HtmlPart | PassThrough:
    """Return a part with its links numbered from `first_number` on; or why it is left alone."""
    decoded = decode_body(raw, entity)
    if isinstance(decoded, PassThrough):
        return decoded
    marks = find_marks(entity, decoded, rules, first_number)
    if isinstance(marks, PassThrough):
        return marks
    return HtmlPart(entity, decoded, marks, rules.base)


def settle_part(part: HtmlPart, *, clicks: bool) -> HtmlPart | PassThrough:
    """Return the part laid out without a pixel; why not, where its marks would not be read so.

    Links whose lines would grow too long are left alone.
    """
    settled = _lay(part, clicks=clicks)
    if isinstance(settled, PassThrough) and settled.reason is PassReason.LINE_TOO_LONG:
        settled = _lay(_without_long_lines(part, clicks=clicks), clicks=clicks)
    return settled


def place_pixel(part: HtmlPart, *, clicks: bool, at_top: bool) -> HtmlPart | PassThrough:
    """Return the part laid out with its pixel in the best place in which it is live.

    Links whose lines would grow too long are left alone.
    """
    placed = _place(part, clicks=clicks, at_top=at_top)
    if at_top or isinstance(placed, PassThrough) or not placed.is_clipped:
        return placed
    del placed  # clipped is what is long, and a second one is made now
    return _place(part, clicks=clicks, at_top=True)


def _place(part: HtmlPart, *, clicks: bool, at_top: bool) -> HtmlPart | PassThrough:
    fitted = part
    for place in pixel_places(part.marks.outline, at_top=at_top):
        placed = _lay(replace(fitted, pixel=place), clicks=clicks)
        too_long_line = isinstance(placed, PassThrough) and (
            placed.reason is PassReason.LINE_TOO_LONG
        )
        if too_long_line and fitted is part:
            fitted = _without_long_lines(part, clicks=clicks)
            placed = _lay(replace(fitted, pixel=place), clicks=clicks)
        if isinstance(placed, HtmlPart):
            return placed
    return PassThrough(PassReason.NO_PLACE_FOR_PIXEL)


def _lay(part: HtmlPart, *, clicks: bool) -> HtmlPart | PassThrough:
    """Return the part with all its marks laid out, if they are read as they are meant."""
    edits = part.edits(opens=True, clicks=clicks)
    spliced = splice_body(part.decoded, edits)
    if isinstance(spliced, PassThrough):
        return spliced
    if not edits_hold(part.decoded.mask, part.marks.outline, edits, part.pixel):
        return PassThrough(PassReason.AMBIGUOUS_HTML, "marks would be read otherwise than meant")
    return replace(part, clicks=clicks, laid=spliced)


def _without_long_lines(part: HtmlPart, *, clicks: bool) -> HtmlPart:
    """Return the part without the marks that would make a line too long (RFC 5322 2.1.1)."""
    edits = replace(part, pixel=None).edits(opens=False, clicks=clicks)
    starts = {edits[number].start for number in too_long(part.decoded, edits)}
    marks = part.marks
    left = _left(part, [link.start for link in marks.links if link.start in starts])
    return replace(
        part,
        marks=replace(
            marks,
            links=tuple(link for link in marks.links if link.start not in starts),
            stale=tuple(edit for edit in marks.stale if edit.start not in starts),
            left=(*marks.left, *left),
        ),
    )


def _left(part: HtmlPart, starts: Sequence[int]) -> tuple[LeftLink, ...]:
    passed = PassThrough(PassReason.LINE_TOO_LONG)
    return tuple(
        LeftLink(part.entity.path, found.link.url, found.link.text, passed)
        for found in part.marks.links
        if found.start in starts
    )
