"""One HTML part on its way into the layouts: its links numbered, its pixel placed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay.link import LinkRules
from relay.mail import Entity
from relay.mark import (
    Marks,
    apply_edits,
    edits_hold,
    find_marks,
    growth,
    link_edits,
    pixel_edit,
    pixel_places,
)
from relay.mime.encoding import Decoded, decode_body, splice_body, too_long
from relay.template import Edit, LeftLink, Segment
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

    def edits(self, *, opens: bool, clicks: bool) -> tuple[Edit, ...]:
        """Return what is replaced, put in and taken out for one treatment, in order."""
        edits = [
            *self.marks.stale,
            *link_edits(self.marks.links, self.base, tracked=clicks),
        ]
        if opens and self.pixel is not None:
            edits.append(pixel_edit(self.pixel, self.base))
        return tuple(sorted(edits, key=lambda edit: (edit.start, edit.end)))

    def segments(self, *, opens: bool, clicks: bool) -> tuple[Segment, ...]:
        """Return the body of the part for one treatment, spans over the submission."""
        spliced = splice_body(self.decoded, self.edits(opens=opens, clicks=clicks))
        assert not isinstance(spliced, PassThrough), spliced  # check_part has seen to it
        return spliced.segments


def read_part(
    raw: bytes, entity: Entity, rules: LinkRules, first_number: int
) -> HtmlPart | PassThrough:
    """Return a part with all its links tracked and no pixel; why not, where it must be left alone.

    Links whose lines would grow too long are left alone.
    """
    decoded = decode_body(raw, entity)
    if isinstance(decoded, PassThrough):
        return decoded
    marks = find_marks(entity, decoded, rules, first_number)
    if isinstance(marks, PassThrough):
        return marks
    return HtmlPart(entity, decoded, marks, rules.base)


def fit_lines(part: HtmlPart) -> HtmlPart:
    """Return the part without the links whose marks would make a line too long (RFC 5322 2.1.1)."""
    edits = part.edits(opens=False, clicks=True)
    starts = {edits[number].start for number in too_long(part.decoded, edits)}
    if not starts:
        return part
    passed = PassThrough(PassReason.LINE_TOO_LONG)
    left = tuple(
        LeftLink(part.entity.path, link.target.url, link.text, passed)
        for link in part.marks.links
        if link.start in starts
    )
    links = tuple(link for link in part.marks.links if link.start not in starts)
    stale = tuple(edit for edit in part.marks.stale if edit.start not in starts)
    return replace(
        part, marks=replace(part.marks, links=links, stale=stale, left=(*part.marks.left, *left))
    )


def check_part(part: HtmlPart, *, clicks: bool) -> PassThrough | None:
    """Return why the part can not carry its marks after all, or None."""
    return _check(part, part.edits(opens=False, clicks=clicks), None)


def place_pixel(part: HtmlPart, *, clicks: bool, at_top: bool) -> HtmlPart | PassThrough:
    """Return the part with its pixel in the best place in which it is live."""
    others = part.edits(opens=False, clicks=clicks)
    size = len(part.decoded.text) + sum(map(growth, others))
    for place in pixel_places(part.marks.outline, size, at_top=at_top):
        placed = replace(part, pixel=place)
        edits = placed.edits(opens=True, clicks=clicks)
        if not too_long(part.decoded, edits) and _check(part, edits, place) is None:
            return placed
    return PassThrough(PassReason.NO_PLACE_FOR_PIXEL)


def _check(part: HtmlPart, edits: Sequence[Edit], pixel: int | None) -> PassThrough | None:
    spliced = splice_body(part.decoded, edits)
    if isinstance(spliced, PassThrough):
        return spliced
    if edits_hold(part.decoded.mask, part.marks.outline, edits, pixel):
        return None
    return PassThrough(PassReason.AMBIGUOUS_HTML, "marks would be read otherwise than meant")


def expected_text(part: HtmlPart, *, opens: bool, clicks: bool) -> bytes:
    """Return the decoded text of the part for one treatment, with blank tokens."""
    return apply_edits(part.decoded.text, part.edits(opens=opens, clicks=clicks))
