"""COMPILE: a submission and its verdict become a Template.

Bytes are spliced, never written anew: what is no mark of ours stays as it was submitted.  Where
anything goes wrong the original goes out, with the reason on record.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ledger.token import MAX_SLOT, TOKEN_CHARACTERS
from relay.fault import pass_for_fault
from relay.link import LinkRules, make_link_rules
from relay.mail import Entity, Submission
from relay.mark import MAX_LOOKED_AT, FoundLink, apply_edits
from relay.mime.encoding import decodes_to
from relay.mime.entity import leaves, parse_entity, walk_entities
from relay.mime.header import Header, read_header
from relay.outgoing import Outgoing, double_dots, lay_out, make_outgoing
from relay.part import HtmlPart, place_pixel, read_part, settle_part
from relay.plain import LinkNumbers, TextPart, read_text
from relay.policy import Policy
from relay.shown import ShownPart, list_shown
from relay.sign import SIGNATURE_FIELD, signing_for
from relay.template import Edit, Layout, LeftLink, Link, PartNote, Segment, Slot, Span, Template
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
        template = _instrument(original, entity, wish)
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
    """Where in the header on the wire the signatures are that give way to ours."""

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
        found = read_part(wish.outgoing.raw, part.entity, wish.rules, number)
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
            found = read_text(wish.outgoing.raw, part.entity, wish.rules, numbers)
            if isinstance(found, PassThrough):
                read.passed[part.entity.path] = found
            else:
                read.texts[part.entity.path] = found
    return numbers.last


def _edits_of(part: _Part, *, opens: bool, clicks: Clicks) -> tuple[Edit, ...]:
    if isinstance(part, HtmlPart):
        return part.edits(opens=opens, clicks=clicks.html)
    return part.edits(clicks=clicks.text)


def _layouts(parts: Sequence[_Part], wish: _Wish) -> Iterator[Layout]:
    for opens, clicks in wish.wanted:
        edits = [_edits_of(part, opens=opens, clicks=clicks) for part in parts]
        segments = _raw_segments(parts, edits, len(wish.outgoing.raw))
        if any(isinstance(segment, Slot) for segment in segments):
            layout = Layout(opens, clicks, lay_out(wish.outgoing, segments, wish.broken))
            raw = Layout(opens, clicks, segments).fill(wish.outgoing.raw, _BLANK)
            _check_layout(layout, raw, wish)
            _check_parts(raw, parts, edits)
            yield layout


_Edits = Sequence[tuple[Edit, ...]]
"""Of each part."""


def _raw_segments(parts: Sequence[_Part], edits: _Edits, size: int) -> tuple[Segment, ...]:
    """Return the whole message with edits made, spans over the submission."""
    segments: list[Segment] = []
    position = 0
    for part, of_part in zip(parts, edits, strict=True):
        segments.append(Span(position, part.entity.body))
        segments += part.segments(of_part)
        position = part.entity.end
    return (*segments, Span(position, size))


def _check_layout(layout: Layout, raw: bytes, wish: _Wish) -> None:
    """Raise SelfCheckError unless a layout is `raw` on the wire, its spans in order."""
    outgoing = wish.outgoing
    at = 0
    for segment in layout.segments:
        if isinstance(segment, Span):
            if not at <= segment.start <= segment.end:
                msg = "spans are out of order"
                raise SelfCheckError(msg)
            at = segment.end
    header = outgoing.header
    for start, end in reversed(wish.broken):
        header = header[:start] + header[end:]
    wire = header + double_dots(raw[outgoing.body :], line_start=True)
    if layout.fill(outgoing.wire, _BLANK) != wire or not wire.endswith(b"\r\n"):
        msg = "on the wire it is not what was spliced"
        raise SelfCheckError(msg)


def _check_parts(raw: bytes, parts: Sequence[_Part], edits: _Edits) -> None:
    """Raise SelfCheckError unless each part of the message `raw` decodes to its text edited."""
    entities = {entity.path: entity for entity in walk_entities(parse_entity(raw))}
    for part, of_part in zip(parts, edits, strict=True):
        entity = entities.get(part.entity.path)
        text = apply_edits(part.decoded.text, of_part)
        if entity is None or not decodes_to(raw, entity, text):
            msg = f"part {part.entity.path} does not decode to what was meant"
            raise SelfCheckError(msg)


def _links(parts: Iterable[_Part]) -> Iterator[Link]:
    for part in parts:
        for link in part.links:
            target = link.target
            yield Link(
                link.number,
                part.entity.path,
                target.url,
                target.destination,
                target.https,
                link.text,
            )


def _left_links(parts: Iterable[_Part], wish: _Wish) -> Iterator[LeftLink]:
    off = PassThrough(PassReason.CLICKS_OFF)
    for part in parts:
        yield from part.left
        if not wish.tracks_links(part):
            for link in part.links:
                yield LeftLink(part.entity.path, link.target.url, link.text, off)


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
    fields = read_header(outgoing.header).fields
    return tuple((found.start, found.end) for found in fields if found.name == SIGNATURE_FIELD)


def _unsubscribe_urls(header: Header) -> tuple[str, ...]:
    values = header.values(b"list-unsubscribe")
    return tuple(
        match[1].translate(None, b" \t\r\n").decode("utf-8", "replace")
        for value in values
        for match in _LISTED_URL.finditer(value)
    )
