"""COMPILE: a submission and its verdict become a Template.

Bytes are spliced, never written anew: what is no mark of ours stays as it was submitted.  Where
anything goes wrong the original goes out, with the reason on record.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ledger.token import MAX_SLOT, TOKEN_CHARACTERS
from relay.fault import pass_for_fault
from relay.link import LinkRules, make_link_rules
from relay.mail import Entity, Submission
from relay.mark import MAX_LOOKED_AT, FoundLink
from relay.mime.encoding import Spliced, decodes_to
from relay.mime.entity import leaves, move_body, parse_entity, walk_entities
from relay.mime.header import Header, read_header
from relay.outgoing import Outgoing, double_dots, lay_out, make_outgoing
from relay.part import HtmlPart, place_pixel, read_part, settle_part
from relay.plain import LinkNumbers, TextPart, read_text
from relay.policy import Policy
from relay.shown import ShownPart, list_shown
from relay.sign import SIGNATURE_FIELD, signing_for
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
    Law: a copy that comes back goes out with one pixel, and no link of ours leads to another.
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
    signing = signing_for(header, policy)
    wish = _Wish(outgoing, rules, wanted, () if signing is None else _signatures(outgoing))
    try:
        template = _instrument(original, move_body(entity, outgoing.body - header.body), wish)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - house rule 29 apart: a fault here must hold up no mail
        return _left_alone(original, entity, pass_for_fault(error))
    if policy.observe and template.layouts:
        return replace(template, layouts=(), passed=PassThrough(PassReason.OBSERVE))
    return replace(template, signing=signing) if template.layouts else template


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be done to a message."""

    outgoing: Outgoing
    rules: LinkRules
    wanted: tuple[tuple[bool, Clicks], ...]
    broken: tuple[tuple[int, int], ...]
    """Where in the header the signatures are that give way to ours."""

    @property
    def opens(self) -> bool:
        """Whether any treatment has a pixel."""
        return any(opens for opens, _ in self.wanted)

    @property
    def clicks(self) -> bool:
        """Whether any treatment has links in HTML tracked."""
        return any(clicks.html for _, clicks in self.wanted)

    @property
    def text_clicks(self) -> bool:
        """Whether any treatment has links in plain text tracked."""
        return any(clicks.text for _, clicks in self.wanted)

    def tracks_links(self, part: "_Part") -> bool:
        """Tell whether any treatment has the links of a part tracked."""
        return self.clicks if isinstance(part, HtmlPart) else self.text_clicks


_Part = HtmlPart | TextPart


@dataclass(frozen=True, slots=True)
class _Read:
    """The parts by path: those that carry marks, and why others do not."""

    parts: dict[str, HtmlPart]
    passed: dict[str, PassThrough]
    texts: dict[str, TextPart] = field(default_factory=dict)

    @property
    def links(self) -> Iterator[FoundLink]:
        """The links of HTML parts."""
        return (link for part in self.parts.values() for link in part.links)

    @property
    def too_many(self) -> bool:
        """Whether there are more links than are looked at, in a part or in all."""
        left = sum(len(part.left) for part in self.html_first())
        alone = any(each.reason is PassReason.TOO_MANY_LINKS for each in self.passed.values())
        return alone or left > MAX_LOOKED_AT

    def html_first(self) -> Iterator[_Part]:
        """Yield the parts that carry marks, those of HTML first."""
        yield from self.parts.values()
        yield from self.texts.values()

    def in_order(self) -> tuple[_Part, ...]:
        """Return the parts that carry marks in order of the message."""
        return tuple(sorted(self.html_first(), key=lambda part: part.entity.start))


def _instrument(original: Template, entity: Entity, wish: _Wish) -> Template:
    shown = list_shown(entity)
    read = _read_parts(shown, wish)
    if read.too_many or sum(1 for _ in read.links) > MAX_SLOT:
        return _left_alone(original, entity, PassThrough(PassReason.TOO_MANY_LINKS))
    _lay_parts(shown, read, wish)
    if _read_texts(shown, read, wish) > MAX_SLOT or read.too_many:
        return _left_alone(original, entity, PassThrough(PassReason.TOO_MANY_LINKS))
    layouts = tuple(_layouts(read.in_order(), wish))
    return replace(
        original,
        layouts=layouts,
        links=tuple(_links(filter(wish.tracks_links, read.html_first()))),
        left=tuple(_left_links(read.html_first(), wish)),
        parts=tuple(_note(part, read, wish) for part in shown),
        passed=None if layouts else _why_nothing(shown, read),
    )


def _read_parts(shown: Sequence[ShownPart], wish: _Wish) -> _Read:
    read = _Read({}, {})
    number = 1
    for part in shown:
        if part.passed is not None:
            continue
        found = read_part(wish.outgoing.text, part.entity, wish.rules, number)
        if isinstance(found, PassThrough):
            read.passed[part.entity.path] = found
            continue
        number += len(found.marks.links)
        read.parts[part.entity.path] = found
    return read


def _lay_parts(shown: Sequence[ShownPart], read: _Read, wish: _Wish) -> None:
    """Lay out each part, the pixel in the last that is displayed and has a place for it."""
    at_top = wish.rules.policy.pixel_at_top
    seeking = wish.opens
    for part in reversed(shown):
        path = part.entity.path
        found = read.parts.get(path)
        if found is None:
            continue
        laid: HtmlPart | PassThrough | None = None
        if seeking and part.displayed:
            laid = place_pixel(found, clicks=wish.clicks, at_top=at_top)
            seeking = isinstance(laid, PassThrough)
        if not isinstance(laid, HtmlPart):
            laid = settle_part(found, clicks=wish.clicks)
        if isinstance(laid, HtmlPart):
            read.parts[path] = laid
        else:
            read.passed[path] = laid
            del read.parts[path]
    if seeking and read.parts:
        last = next(reversed(read.parts))
        read.passed.setdefault(last, PassThrough(PassReason.NO_PLACE_FOR_PIXEL))


def _read_texts(shown: Sequence[ShownPart], read: _Read, wish: _Wish) -> int:
    """Read the text parts, where links in them may be tracked; return the last number."""
    if not wish.rules.policy.text_clicks:
        return 0
    numbers = LinkNumbers(read.links)
    for part in shown:
        if part.passed is PassReason.PLAIN_TEXT:
            found = read_text(wish.outgoing.text, part.entity, wish.rules, numbers)
            if isinstance(found, PassThrough):
                read.passed[part.entity.path] = found
            else:
                read.texts[part.entity.path] = found
    return numbers.last


def _lay(part: _Part, *, opens: bool, clicks: Clicks) -> Spliced:
    if isinstance(part, HtmlPart):
        return part.lay(opens=opens, clicks=clicks.html)
    return part.lay(clicks=clicks.text)


def _layouts(parts: Sequence[_Part], wish: _Wish) -> Iterator[Layout]:
    outgoing = wish.outgoing
    for opens, clicks in wish.wanted:
        laid = [_lay(part, opens=opens, clicks=clicks) for part in parts]
        layout = Layout(opens, clicks, _segments(parts, laid, wish))
        if not any(isinstance(segment, Slot) for segment in layout.segments):
            continue
        _check_order(layout)
        text = layout.fill(outgoing.text, _BLANK)
        _check_parts(text, parts, laid)
        yield replace(layout, segments=_on_wire(layout, text, outgoing))


def _segments(parts: Sequence[_Part], laid: Sequence[Spliced], wish: _Wish) -> tuple[Segment, ...]:
    """Return the whole message with its parts edited, spans over the outgoing text."""
    segments: list[Segment] = []
    position = 0
    for start, end in wish.broken:
        segments.append(Span(position, start))
        position = end
    for part, spliced in zip(parts, laid, strict=True):
        segments.append(Span(position, part.decoded.start))
        segments += spliced.segments
        position = part.decoded.end
    return (*segments, Span(position, len(wish.outgoing.text)))


def _check_order(layout: Layout) -> None:
    """Raise SelfCheckError unless what a layout keeps of the original is in its order."""
    kept = [*chain.from_iterable(each for each in layout.segments if isinstance(each, Span))]
    if kept != sorted(kept):
        msg = "spans are out of order"
        raise SelfCheckError(msg)


def _check_parts(text: bytes, parts: Sequence[_Part], laid: Sequence[Spliced]) -> None:
    """Raise SelfCheckError unless each part of a layout's text decodes to what was meant."""
    entities = {entity.path: entity for entity in walk_entities(parse_entity(text))}
    for part, spliced in zip(parts, laid, strict=True):
        entity = entities.get(part.entity.path)
        if entity is None or not decodes_to(text, entity, spliced):
            msg = f"part {part.entity.path} does not decode to what was meant"
            raise SelfCheckError(msg)


def _on_wire(layout: Layout, text: bytes, outgoing: Outgoing) -> tuple[Segment, ...]:
    """Return the segments of a layout, which makes `text`, over the wire form.

    Raises SelfCheckError where they would not make the wire form of the text.
    """
    wire = double_dots(text, line_start=True)
    # Mostly there are no dots to be doubled, and the wire form is the text.
    as_it_is = wire == text and not outgoing.dots
    segments = layout.segments if as_it_is else lay_out(outgoing, layout.segments)
    if not wire.endswith(b"\r\n") or not (
        as_it_is or replace(layout, segments=segments).fill(outgoing.wire, _BLANK) == wire
    ):
        msg = "on the wire it is not what was spliced"
        raise SelfCheckError(msg)
    return segments


def _links(parts: Iterable[_Part]) -> Iterator[Link]:
    return (found.link for part in parts for found in part.links)


def _left_links(parts: Iterable[_Part], wish: _Wish) -> Iterator[LeftLink]:
    off = PassThrough(PassReason.CLICKS_OFF)
    for part in parts:
        yield from part.left
        if not wish.tracks_links(part):
            for found in part.links:
                yield LeftLink(part.entity.path, found.link.url, found.link.text, off)


def _note(part: ShownPart, read: _Read, wish: _Wish) -> PartNote:
    entity = part.entity
    found: _Part | None = read.parts.get(entity.path) or read.texts.get(entity.path)
    pixel = isinstance(found, HtmlPart) and found.pixel is not None
    if found is not None and (pixel or (wish.tracks_links(found) and found.links)):
        return PartNote(entity.path, entity.media_type, None)
    reason = PassReason.NOTHING_TO_TRACK if found is not None else part.passed
    nothing = PassThrough(reason or PassReason.NOTHING_TO_TRACK)
    return PartNote(entity.path, entity.media_type, read.passed.get(entity.path, nothing))


def _why_nothing(shown: Sequence[ShownPart], read: _Read) -> PassThrough:
    """Return the reason of the part that is displayed, where there is one."""
    html = [part for part in shown if part.passed is None]
    displayed = [read.passed.get(part.entity.path) for part in html if part.displayed]
    reasons = [passed for passed in displayed if passed is not None]
    nothing = PassReason.NOTHING_TO_TRACK if html or read.texts else PassReason.NO_HTML
    return reasons[-1] if reasons else PassThrough(nothing)


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


def _signatures(outgoing: Outgoing) -> tuple[tuple[int, int], ...]:
    # Deviates: RFC 6376 4.2: a signer should leave the signatures it finds, even those that fail.
    # These fail by our doing, ours takes their place, and filters hold a failure against the mail.
    fields = read_header(outgoing.text).fields
    return tuple((found.start, found.end) for found in fields if found.name == SIGNATURE_FIELD)


def _unsubscribe_urls(header: Header) -> tuple[str, ...]:
    values = header.values(b"list-unsubscribe")
    return tuple(
        match[1].translate(None, b" \t\r\n").decode("utf-8", "replace")
        for value in values
        for match in _LISTED_URL.finditer(value)
    )
