"""COMPILE: a submission and its verdict become a Template.

Bytes are spliced, never written anew: what is no mark of ours stays as it was submitted.  Where
anything goes wrong the original goes out, with the reason on record.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ledger.token import MAX_SLOT, TOKEN_CHARACTERS
from relay.link import LinkRules, make_link_rules
from relay.mail import Entity, Submission
from relay.mime.encoding import decode_body
from relay.mime.entity import leaves, parse_entity, walk_entities
from relay.mime.header import Header, read_header
from relay.outgoing import Outgoing, double_dots, lay_out, make_outgoing
from relay.part import HtmlPart, check_part, expected_text, fit_lines, place_pixel, read_part
from relay.policy import Policy
from relay.shown import ShownPart, list_shown
from relay.template import Layout, LeftLink, Link, PartNote, Segment, Slot, Span, Template
from relay.trace import received_field
from relay.verdict import Accept, Clicks, PassReason, PassThrough

_BCC = (b"bcc", b"resent-bcc")  # RFC 5322 3.6.3: it never travels
_OURS = b"x-indicia-"
_LISTED_URL = re.compile(rb"<([^<>]*)>")  # RFC 2369 2
_BLANK = b"A" * TOKEN_CHARACTERS


class SelfCheckError(Exception):
    """A layout is not the original with marks: a fault of ours, told to the operator."""


def compile_template(
    submission: Submission, entity: Entity, accept: Accept, policy: Policy
) -> Template:
    """Return the message with a layout for each treatment in which anything is tracked.

    Law: with every slot given back what stood there, each layout is the original.
    Law: it raises for no submission; what can not be marked goes out as the original.
    """
    header = read_header(submission.raw)
    received = received_field(submission, policy.hostname)
    outgoing = make_outgoing(submission.raw, header.body, received, _dropped(header))
    original = Template(outgoing.wire, (), policy.base_for(submission.envelope.sender))
    wanted = _wanted(accept)
    if accept.content is not None:
        return _left_alone(original, entity, accept.content)
    if not wanted:
        return original
    rules = make_link_rules(policy, original.base_url, _unsubscribe_urls(header))
    try:
        template = _instrument(original, entity, _Wish(outgoing, rules, wanted))
    except Exception as error:  # noqa: BLE001 - house rule 29 apart: a fault here must hold up no mail
        fault = PassThrough(PassReason.OUR_FAULT, f"{type(error).__name__}: {error}"[:200])
        return _left_alone(original, entity, fault)
    if policy.observe and template.layouts:
        return replace(template, layouts=(), passed=PassThrough(PassReason.OBSERVE))
    return template


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be done to a message."""

    outgoing: Outgoing
    rules: LinkRules
    wanted: tuple[tuple[bool, Clicks], ...]

    @property
    def opens(self) -> bool:
        """Whether any treatment has a pixel."""
        return any(opens for opens, _ in self.wanted)

    @property
    def clicks(self) -> bool:
        """Whether any treatment has links in HTML tracked."""
        return any(clicks.html for _, clicks in self.wanted)


@dataclass(frozen=True, slots=True)
class _Read:
    """The HTML parts by path, in order: those that carry marks, and why others do not."""

    parts: dict[str, HtmlPart]
    passed: dict[str, PassThrough]


def _instrument(original: Template, entity: Entity, wish: _Wish) -> Template:
    shown = list_shown(entity)
    read = _read_parts(shown, wish)
    if sum(len(part.marks.links) for part in read.parts.values()) > MAX_SLOT:
        return _left_alone(original, entity, PassThrough(PassReason.TOO_MANY_LINKS))
    _place_one_pixel(shown, read, wish)
    parts = tuple(read.parts.values())
    layouts = tuple(_layouts(parts, wish))
    for layout in layouts:
        _check_layout(original, layout, parts, wish.outgoing)
    html = any(part.passed is None for part in shown)
    why = PassReason.NOTHING_TO_TRACK if html else PassReason.NO_HTML
    return replace(
        original,
        layouts=layouts,
        links=tuple(_links(parts)) if wish.clicks else (),
        left=tuple(_left_links(parts, clicks=wish.clicks)),
        parts=tuple(_note(part, read, clicks=wish.clicks) for part in shown),
        passed=None if layouts else PassThrough(why),
    )


def _read_parts(shown: Sequence[ShownPart], wish: _Wish) -> _Read:
    read = _Read({}, {})
    number = 1
    for part in shown:
        if part.passed is not None:
            continue
        found = read_part(wish.outgoing.raw, part.entity, wish.rules, number)
        if isinstance(found, PassThrough):
            read.passed[part.entity.path] = found
            continue
        number += len(found.marks.links)
        read.parts[part.entity.path] = fit_lines(found)
    return read


def _place_one_pixel(shown: Sequence[ShownPart], read: _Read, wish: _Wish) -> None:
    """Give the last part that is displayed and has a place the pixel, and check the others."""
    seeking = wish.opens
    for part in reversed(shown):
        path = part.entity.path
        found = read.parts.get(path)
        if found is None:
            continue
        if seeking and part.displayed:
            at_top = wish.rules.policy.pixel_at_top
            placed = place_pixel(found, clicks=wish.clicks, at_top=at_top)
            if isinstance(placed, HtmlPart):
                read.parts[path] = placed
                seeking = False
                continue
            read.passed[path] = placed
        refused = check_part(found, clicks=wish.clicks)
        if refused is not None:
            read.passed[path] = refused
            del read.parts[path]


def _layouts(parts: Sequence[HtmlPart], wish: _Wish) -> Iterator[Layout]:
    for opens, clicks in wish.wanted:
        segments = _raw_segments(parts, len(wish.outgoing.raw), opens=opens, clicks=clicks.html)
        if any(isinstance(segment, Slot) for segment in segments):
            yield Layout(opens, clicks, lay_out(wish.outgoing, segments))


def _raw_segments(
    parts: Sequence[HtmlPart], size: int, *, opens: bool, clicks: bool
) -> tuple[Segment, ...]:
    """Return the whole message for a treatment, spans over the submission."""
    segments: list[Segment] = []
    position = 0
    for part in parts:
        segments.append(Span(position, part.entity.body))
        segments += part.segments(opens=opens, clicks=clicks)
        position = part.entity.end
    return (*segments, Span(position, size))


def _check_layout(
    original: Template, layout: Layout, parts: Sequence[HtmlPart], outgoing: Outgoing
) -> None:
    """Raise SelfCheckError unless a layout is the original, but for the marks of its parts."""
    spans = [segment for segment in layout.segments if isinstance(segment, Span)]
    places = [0, *(place for span in spans for place in (span.start, span.end))]
    if any(after < before for before, after in pairwise((*places, len(original.original)))):
        msg = "spans are out of order"
        raise SelfCheckError(msg)
    clicks = layout.clicks.html
    segments = _raw_segments(parts, len(outgoing.raw), opens=layout.opens, clicks=clicks)
    raw = Layout(layout.opens, layout.clicks, segments).fill(outgoing.raw, _BLANK)
    wire = outgoing.header + double_dots(raw[outgoing.body :], line_start=True)
    if layout.fill(original.original, _BLANK) != wire:
        msg = "on the wire it is not what was spliced"
        raise SelfCheckError(msg)
    _check_parts(outgoing.raw, raw, parts, opens=layout.opens, clicks=clicks)


def _check_parts(
    before: bytes, after: bytes, parts: Sequence[HtmlPart], *, opens: bool, clicks: bool
) -> None:
    entities = {entity.path: entity for entity in walk_entities(parse_entity(after))}
    shape = [(entity.path, entity.media_type) for entity in entities.values()]
    wanted = [(entity.path, entity.media_type) for entity in walk_entities(parse_entity(before))]
    if shape != wanted:
        msg = "it has other parts"
        raise SelfCheckError(msg)
    for part in parts:
        decoded = decode_body(after, entities[part.entity.path])
        wanted_text = expected_text(part, opens=opens, clicks=clicks)
        if isinstance(decoded, PassThrough) or decoded.text != wanted_text:
            msg = f"part {part.entity.path} does not decode to what was meant"
            raise SelfCheckError(msg)


def _links(parts: Sequence[HtmlPart]) -> Iterator[Link]:
    for part in parts:
        for link in part.marks.links:
            target = link.target
            yield Link(
                link.number,
                part.entity.path,
                target.url,
                target.destination,
                target.https,
                link.text,
            )


def _left_links(parts: Sequence[HtmlPart], *, clicks: bool) -> Iterator[LeftLink]:
    off = PassThrough(PassReason.CLICKS_OFF)
    for part in parts:
        yield from part.marks.left
        if not clicks:
            for link in part.marks.links:
                yield LeftLink(part.entity.path, link.target.url, link.text, off)


def _note(part: ShownPart, read: _Read, *, clicks: bool) -> PartNote:
    entity = part.entity
    if part.passed is not None:
        return PartNote(entity.path, entity.media_type, PassThrough(part.passed))
    found = read.parts.get(entity.path)
    if found is not None and (found.pixel is not None or (clicks and found.marks.links)):
        return PartNote(entity.path, entity.media_type, None)
    passed = read.passed.get(entity.path, PassThrough(PassReason.NOTHING_TO_TRACK))
    return PartNote(entity.path, entity.media_type, passed)


def _left_alone(original: Template, entity: Entity, passed: PassThrough) -> Template:
    parts = tuple(PartNote(leaf.path, leaf.media_type, passed) for leaf in leaves(entity))
    return replace(original, parts=parts, passed=passed)


def _wanted(accept: Accept) -> tuple[tuple[bool, Clicks], ...]:
    """Return the distinct treatments of those who are tracked at all, in order."""
    treatments = [verdict.treatment for verdict in accept.treatments]
    tracked = [(each.opens, each.clicks) for each in treatments if each.tracks]
    return tuple(dict.fromkeys(tracked))


def _dropped(header: Header) -> list[tuple[int, int]]:
    return [
        (found.start, found.end)
        for found in header.fields
        if found.name in _BCC or found.name.startswith(_OURS)
    ]


def _unsubscribe_urls(header: Header) -> tuple[str, ...]:
    values = header.values(b"list-unsubscribe")
    return tuple(
        match[1].translate(None, b" \t\r\n").decode("utf-8", "replace")
        for value in values
        for match in _LISTED_URL.finditer(value)
    )
