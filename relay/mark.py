"""MARK: what of one HTML part is replaced, put in and taken out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ledger.token import TOKEN_CHARACTERS
from relay.link import (
    MAX_TEXT,
    OPT_OUT_MARK,
    LinkRules,
    Reference,
    Target,
    is_own_pixel,
    judge_link,
    judge_plain,
    own_hosts,
    unwrap_own,
)
from relay.mail import Entity
from relay.mime.charref import decode_attribute, decode_text
from relay.mime.encoding import Decoded, TransferEncoding
from relay.mime.html import (
    RAW_TEXT,
    TokenKind,
    find_attribute,
    make_attribute_search,
    read_attributes,
    scan_tokens,
)
from relay.mime.outline import Ambiguous, Element, Outline, outline_html
from relay.template import Edit, LeftLink, Link, Slot, SlotKind
from relay.verdict import PassReason, PassThrough

CLIP_BYTES = 102 * 1024
"""Where Gmail clips a message; what comes after is loaded only when somebody asks for it."""
PIXEL_NUMBER = 0
MAX_LOOKED_AT = 16_384
"""Links of a message, left or tracked, each of them told; four times what tokens count."""

_TOKEN = b"A" * TOKEN_CHARACTERS
_MAX_INNER = 16_384
"""Bytes of a link's content that are looked at for its text."""
# 13.2.5.36 to 13.2.5.38: what ends an attribute value in whatever quotes it stands, or in none.
_ENDS_VALUE = re.compile(rb"[\t\n\f\r \"'<>`]")
_IMAGE = re.compile(rb'<img(?: [a-z]+="[^"]*")+>[\r\n]*')
_ALT = make_attribute_search(b"alt")
_HREF_IN_COMMENT = re.compile(rb"[\t\n\r ]href[\t\n\r ]*=[\t\n\r ]*[\"']?([^\"'\t\n\r >]+)")
_SPACES = re.compile(r"[ \t\n\r\f]+")
# 13.2.5.36 to 13.2.5.38: what would end an attribute value in whatever quotes it stands, and what
# older parsers took for quotes.
_UNSAFE = re.compile(r"[\"'<>`\\]")
# Text that with what follows an image taken out would become a tag or another character.
_WOULD_JOIN = re.compile(rb"(?:<|&[A-Za-z0-9#]*)\Z")
_LONGEST_REFERENCE = 40
_LONGEST_LINE = 1000
"""A delimiter has 72 characters, an image of ours a hundred."""
_ANY_IMAGE = re.compile(rb"<img[^>]*>", re.IGNORECASE)
_UTF8 = ("utf-8", "utf8")


class FoundLink(NamedTuple):
    """A link that may be tracked."""

    link: Link
    tracked: Edit
    """What takes the place of its href."""
    untracked: Edit | None
    """The same where links are not tracked: where a stale link of ours led."""

    @property
    def start(self) -> int:
        """Where its href begins in the decoded body."""
        return self.tracked.start


@dataclass(frozen=True, slots=True)
class Marks:
    """What was found in one HTML part."""

    outline: Outline
    links: tuple[FoundLink, ...]
    left: tuple[LeftLink, ...]
    stale: tuple[Edit, ...]
    """Stale marks of ours taken out in every layout."""


def find_marks(
    entity: Entity, decoded: Decoded, rules: LinkRules, first_number: int
) -> Marks | PassThrough:
    """Return the links and stale marks of a part; links in order, from `first_number` on."""
    if not decoded.mask.strip():
        return PassThrough(PassReason.NOTHING_TO_TRACK, "there is no text")
    outline = outline_html(decoded.mask, own_hosts(rules))
    if isinstance(outline, Ambiguous):
        return PassThrough(PassReason.AMBIGUOUS_HTML, outline.why)
    if len(outline.links) + len(outline.conditional) > MAX_LOOKED_AT:
        return PassThrough(PassReason.TOO_MANY_LINKS, f"part {entity.path}")
    reading = _Reading(entity, decoded, rules, outline)
    number = first_number
    for element in outline.links:
        number += reading.link(element, number)
    for comment in outline.conditional:
        reading.conditional(comment.start, comment.end)
    for image in outline.images:
        reading.image(image)
    return Marks(outline, tuple(reading.links), tuple(reading.left), tuple(reading.stale))


def pixel_edit(place: int, base: str, line_end: bytes = b"") -> Edit:
    """Return the edit that puts the pixel in, with `line_end` after it."""
    # Not disguised: hidden images are what spam filters look for, and Gmail's guidelines forbid.
    before = b'<img src="' + escape_value(f"{base}o/")
    after = b'.gif" width="1" height="1" alt="">' + line_end
    return Edit(place, place, (before, Slot(SlotKind.PIXEL, PIXEL_NUMBER), after))


def pixel_places(outline: Outline, *, at_top: bool) -> tuple[int, ...]:
    """Return where the pixel may stand, best first."""
    usual = [outline.history, outline.body_end, outline.end]
    places = [outline.top, *usual] if at_top else [*usual, outline.top]
    return tuple(dict.fromkeys(place for place in places if place is not None))


def escape_value(text: str) -> bytes:
    """Return text that is an attribute value, whatever quotes it stands in.

    Law: decode_attribute gives the text back, and no byte of it ends a value or is not ASCII.
    """
    escaped = text.replace("&", "&amp;") if "&" in text else text
    if _UNSAFE.search(escaped):
        escaped = _UNSAFE.sub(_numeric, escaped)
    return escaped.encode("ascii", "xmlcharrefreplace")


def _numeric(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def growth(edit: Edit) -> int:
    """Return by how many bytes an edit makes a text longer."""
    length = sum(TOKEN_CHARACTERS if isinstance(p, Slot) else len(p) for p in edit.pieces)
    return length - (edit.end - edit.start)


def edits_hold(mask: bytes, outline: Outline, edits: Sequence[Edit], pixel: int | None) -> bool:
    """Tell whether what is edited is read as meant: each link as far as it went, the pixel a tag.

    `pixel` is the place of the pixel among the edits.  A tag that goes on as it did, or is put in
    whole, ends in the data state in which it began (HTML Standard 13.2.5.1), so all else is read
    as it was.

    Law: then a scan of the whole gives the same tokens, but for images taken out and the pixel.
    """
    targets = {(link.target_start, link.target_end) for link in outline.links}
    images = {(image.start, image.end) for image in outline.images}
    values: list[bytes | Slot] = []
    for start, end, pieces in edits:
        written = any(pieces)
        if written and (start, end) in targets:
            values += pieces
        elif start == end == pixel:
            if _IMAGE.fullmatch(_written(pieces)) is None:
                return False
        elif written or (start, end) not in images or _would_join(mask, start):
            return False
    return _ENDS_VALUE.search(_written(values)) is None


def _written(pieces: Iterable[bytes | Slot]) -> bytes:
    return b"".join([piece if isinstance(piece, bytes) else _TOKEN for piece in pieces])


def _would_join(mask: bytes, place: int) -> bool:
    """Tell whether text before a place may become another character or a tag by what follows."""
    return _WOULD_JOIN.search(mask, max(0, place - _LONGEST_REFERENCE), place) is not None


def _would_delimit(decoded: Decoded, place: int) -> bool:
    """Tell whether without its images the line at a place ends a part (RFC 2046 5.1.1)."""
    mask = decoded.mask
    start = mask.rfind(b"\n", 0, place) + 1
    if decoded.encoding is TransferEncoding.BASE64 or mask[start : start + 1] not in (b"-", b"<"):
        return False
    end = mask.find(b"\n", place, start + _LONGEST_LINE)
    line = mask[start : end if end >= 0 else start + _LONGEST_LINE]
    bare = _ANY_IMAGE.sub(b"", line).rstrip(b" \t\r")
    if not bare.startswith(b"--"):
        return False
    # A delimiter stands before each part it could end, too.
    lines = {bare, bare.removesuffix(b"--")} - {b"", b"--"}
    return any(decoded.raw.find(b"\n" + each, 0, decoded.start) >= 0 for each in lines)


class _Reading:
    """The reading of one part: what has been found."""

    def __init__(
        self, entity: Entity, decoded: Decoded, rules: LinkRules, outline: Outline
    ) -> None:
        self.path = entity.path
        self.utf8 = entity.charset in _UTF8
        self.decoded = decoded
        self.characters = decoded.mask.decode("latin-1")
        """Where they are of ASCII, those of the text, at their place."""
        self.lower = outline.lower
        self.rules = rules
        self.prefix = escape_value(f"{rules.base}c/")
        self.links: list[FoundLink] = []
        self.left: list[LeftLink] = []
        self.stale: list[Edit] = []

    def link(self, element: Element, number: int) -> bool:
        """Look at a link; return whether it took the number."""
        start, end = element.target_start, element.target_end
        shown = self._shown_text(element)
        href, untracked = "", None
        judged = self._judge_plain(element, shown)
        if judged is None:
            href = self._value(start, end)
            unwrapped = None if element.inert else unwrap_own(href, self.rules)
            if unwrapped is not None:
                href, untracked = unwrapped, Edit(start, end, (escape_value(unwrapped),))
            judged = self._judge(element, href, shown)
        if isinstance(judged, Target):
            url, destination, https, fragment = judged
            if href:
                after = escape_value(f"/{destination.decode('ascii')}{fragment}")
            else:  # as it stands there, from the second slash on
                after = self.decoded.mask[start + len("http:/") + https : end]
            text = (shown or self._alt(element))[:MAX_TEXT]
            link = Link(number, self.path, url, destination, https, text)
            tracked = Edit(start, end, (self.prefix, Slot(SlotKind.LINK, number), after))
            self.links.append(FoundLink(link, tracked, untracked))
            return True
        if untracked is not None:
            self.stale.append(untracked)
        self._leave(href or self._value(start, end), shown or self._alt(element), judged)
        return False

    def image(self, element: Element) -> None:
        """Take out a pixel of ours."""
        src = self._value(element.target_start, element.target_end)
        if element.inert or not is_own_pixel(src, self.rules):
            return
        if not (
            _would_join(self.decoded.mask, element.start)
            or _would_delimit(self.decoded, element.start)
        ):
            self.stale.append(Edit(element.start, element.end, ()))

    def conditional(self, start: int, end: int) -> None:
        """Note the links of a conditional comment, VML among them."""
        for match in _HREF_IN_COMMENT.finditer(self.decoded.mask, start, end):
            self._leave(
                self._value(*match.span(1)), "", PassThrough(PassReason.CONDITIONAL_COMMENT)
            )

    def _judge_plain(self, element: Element, shown: str) -> Target | PassThrough | None:
        if element.inert or element.quoted or self._may_opt_out(element):
            return None
        value = self.characters[element.target_start : element.target_end]
        return judge_plain(value, shown, self.rules)

    def _judge(self, element: Element, href: str, shown: str) -> Target | PassThrough:
        if element.inert:
            return PassThrough(PassReason.AMBIGUOUS_HTML, "in svg, template, select or their like")
        reference = Reference(href, shown, self._opt_outs(element), self.utf8)
        judged = judge_link(reference, self.rules)
        if element.quoted and isinstance(judged, Target):
            return PassThrough(PassReason.QUOTED_HISTORY)
        return judged

    def _leave(self, url: str, text: str, passed: PassThrough) -> None:
        shortened = url[: self.rules.policy.max_url_length]
        self.left.append(LeftLink(self.path, shortened, text[:MAX_TEXT], passed))

    def _may_opt_out(self, element: Element) -> bool:
        return self.lower.find(OPT_OUT_MARK, element.start, element.end) >= 0

    def _opt_outs(self, element: Element) -> dict[str, str]:
        if not self._may_opt_out(element):
            return {}
        return {
            attribute.name.decode("ascii", "replace"): self._value(attribute.start, attribute.end)
            for attribute in read_attributes(self.decoded.mask, element.tag)
        }

    def _value(self, start: int, end: int) -> str:
        return decode_attribute(self._decode(start, end))

    def _decode(self, start: int, end: int) -> str:
        characters = self.characters[start:end]
        return characters if characters.isascii() else self.decoded.decode(start, end)

    def _shown_text(self, element: Element) -> str:
        """Return the text that a link encloses; empty where that is only an image."""
        start = element.end
        end = min(element.inner_end, start + _MAX_INNER)
        if self.lower.find(b"<", start, end) < 0:
            return _collapsed(decode_text(self._decode(start, end)))
        pieces: list[str] = []
        hidden = False
        for token in scan_tokens(self.decoded.mask[start:end]):
            if token.kind is TokenKind.TEXT and not hidden:
                inner = self._decode(start + token.start, start + token.end)
                pieces.append(decode_text(inner))
            hidden = token.kind is TokenKind.START and token.name in RAW_TEXT
        return _collapsed("".join(pieces))

    def _alt(self, element: Element) -> str:
        """Return the alternative text of an area, or of the first image that a link encloses."""
        mask = self.decoded.mask
        tags = [element.tag]
        start = element.end
        if element.name == b"a":
            inner = mask[start : min(element.inner_end, start + _MAX_INNER)]
            tags = [
                type(token)(token.kind, start + token.start, start + token.end, token.name)
                for token in scan_tokens(inner)
                if token.kind is TokenKind.START and token.name == b"img"
            ]
        for tag in tags:
            alt = find_attribute(mask, tag, _ALT)
            if alt is not None and (text := _collapsed(self._value(alt.start, alt.end))):
                return text
        return ""


def _collapsed(text: str) -> str:
    if text.isascii() and text.isprintable():  # then a blank is its only white space
        return " ".join(text.split())
    return _SPACES.sub(" ", text).strip(" ")
