"""One text/plain part on its way into the layouts: its links.

A URL that is in text/html too is the same link: the first of the text is the first there, the
second the second, and what is over is the last.  Links in the signature are tracked, as in HTML.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ledger.token import MAX_SLOT
from relay.link import MAX_TEXT, LinkRules, Reference, Target, judge_link, unwrap_own
from relay.mail import Entity
from relay.mark import MAX_LOOKED_AT, FoundLink, growth
from relay.mime.encoding import (
    Decoded,
    Spliced,
    apply_edits,
    decode_body,
    splice_body,
    too_long,
)
from relay.mime.header import Header, parse_structured, read_header
from relay.mime.text import GOES_ON, TextFormat, TextUrl, find_urls, read_format
from relay.template import Edit, LeftLink, Link, Slot, SlotKind
from relay.verdict import PassReason, PassThrough

_OPT_OUT = {"data-msys-clicktrack": "0"}
_MISREAD = PassThrough(PassReason.AMBIGUOUS_TEXT, "ours would be read otherwise than meant")
_BLANKS = (b" ", b"\t", b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part that may carry links of ours."""

    entity: Entity
    decoded: Decoded
    form: TextFormat
    links: tuple[FoundLink, ...]
    left: tuple[LeftLink, ...]
    stale: tuple[Edit, ...]
    """Links of ours that are unwrapped in every layout."""
    laid: Spliced | None = field(default=None, repr=False)
    """The part with its links tracked."""

    def edits(self, *, clicks: bool) -> tuple[Edit, ...]:
        """Return what is replaced for one treatment, in order."""
        if clicks:
            ours = [link.tracked for link in self.links]
        else:
            ours = [link.untracked for link in self.links if link.untracked is not None]
        return tuple(sorted((*self.stale, *ours), key=lambda edit: edit.start))

    def lay(self, *, clicks: bool) -> Spliced:
        """Return the part laid out for one treatment."""
        if clicks and self.laid is not None:
            return self.laid
        spliced = splice_body(self.decoded, self.edits(clicks=clicks))
        assert isinstance(spliced, Spliced), spliced  # more edits have been laid out
        return spliced


class LinkNumbers:
    """The numbers of a message's links, for the text parts after the HTML parts."""

    def __init__(self, links: Iterable[FoundLink]) -> None:
        """Know the links of the HTML parts."""
        self._known: defaultdict[str, deque[Link]] = defaultdict(deque)
        self.last = 0
        """The highest number there is."""
        for found in links:
            self._known[found.link.url].append(found.link)
            self.last = max(self.last, found.link.number)

    def take(self, target: Target) -> tuple[int, bytes]:
        """Return number and destination of the next link that leads there.

        It agrees with the target by the URL Standard; one of the two may have a slash after its
        host that the other lacks.
        """
        known = self._known.get(target.url)
        if not known:
            self.last += 1
            return self.last, target.destination
        link = known[0] if len(known) == 1 else known.popleft()
        return link.number, link.destination


def read_text(
    raw: bytes, entity: Entity, rules: LinkRules, numbers: LinkNumbers
) -> TextPart | PassThrough:
    """Return a part laid out with its links, or why it is left alone."""
    header = read_header(raw, entity.start, entity.body)
    if _has_file_name(header):
        return PassThrough(PassReason.ATTACHMENT, "it has a file name")
    decoded = decode_body(raw, entity)
    if isinstance(decoded, PassThrough):
        return decoded
    reading = _Reading(decoded, rules, entity.path)
    form = read_format(header)
    for url in find_urls(decoded, form):
        reading.url(url, numbers)
        if numbers.last > MAX_SLOT or len(reading.left) > MAX_LOOKED_AT:
            return PassThrough(PassReason.TOO_MANY_LINKS, f"part {entity.path}")
    part = TextPart(
        entity, decoded, form, tuple(reading.links), tuple(reading.left), tuple(reading.stale)
    )
    part = _without(part, _long_lines(part), PassThrough(PassReason.LINE_TOO_LONG))
    return _lay(_without(part, _misread(part), _MISREAD))


def _has_file_name(header: Header) -> bool:
    """Tell whether a part is a file, whatever its disposition: Apple Mail attaches text inline."""
    return any(
        parameter in parse_structured(header.value(name) or b"").parameters
        for name, parameter in ((b"content-disposition", "filename"), (b"content-type", "name"))
    )


class _Reading:
    """The reading of one part: what has been found."""

    def __init__(self, decoded: Decoded, rules: LinkRules, path: str) -> None:
        """Begin with nothing."""
        self._decoded = decoded
        self._rules = rules
        self._path = path
        self._prefix = f"{rules.base}c/".encode("ascii")
        self.links: list[FoundLink] = []
        self.left: list[LeftLink] = []
        self.stale: list[Edit] = []

    def url(self, found: TextUrl, numbers: LinkNumbers) -> None:
        """Look at a URL."""
        unwrapped = unwrap_own(found.url, self._rules)
        plain = self._plain(found, unwrapped) if unwrapped is not None else None
        url = unwrapped if unwrapped is not None and plain is not None else found.url
        judged = self._judge(found, url)
        if isinstance(judged, Target):
            number, destination = numbers.take(judged)
            blank = Slot(SlotKind.LINK, number, html=False)
            after = b"/" + destination + judged.fragment.encode("ascii")
            tracked = Edit(found.start, found.end, (self._prefix, blank, after))
            target, https, text = judged.url, judged.https, url[:MAX_TEXT]
            link = Link(number, self._path, target, destination, https, text)
            self.links.append(FoundLink(link, tracked, plain))
            return
        if plain is not None:
            self.stale.append(plain)
        shown = url[: self._rules.policy.max_url_length]
        self.left.append(LeftLink(self._path, shown, url[:MAX_TEXT], judged))

    def _judge(self, found: TextUrl, url: str) -> Target | PassThrough:
        # skip_url_text is about links with a text of their own, so none is given.
        reference = Reference(url, "", _OPT_OUT if found.opted_out else {})
        judged = judge_link(reference, self._rules)
        if isinstance(judged, PassThrough):
            return judged
        if found.quoted:
            return PassThrough(PassReason.QUOTED_HISTORY)
        return PassThrough(PassReason.AMBIGUOUS_TEXT, found.doubt) if found.doubt else judged

    def _plain(self, found: TextUrl, unwrapped: str) -> Edit | None:
        """Return what takes a link of ours back; where it ends need not be known for that."""
        written = self._decoded.mask[found.start : found.end]
        if not any(blank in written for blank in _BLANKS):
            scheme = unwrapped[: unwrapped.index("/") + 2]
            ours = len(found.url) - len(unwrapped) + len(scheme)
            return Edit(found.start, found.start + ours, (scheme.encode("ascii"),))
        return Edit(found.start, found.end, (unwrapped.encode(),)) if unwrapped.isascii() else None


def _lay(part: TextPart) -> TextPart | PassThrough:
    """Return the part laid out with all its links."""
    edits = part.edits(clicks=True)
    spliced = splice_body(part.decoded, edits)
    if isinstance(spliced, PassThrough):
        return spliced
    return replace(part, laid=spliced)


def _long_lines(part: TextPart) -> frozenset[int]:
    """Return where the links begin that would make a line too long (RFC 5322 2.1.1)."""
    edits = part.edits(clicks=True)
    return frozenset(edits[number].start for number in too_long(part.decoded, edits))


def _misread(part: TextPart) -> frozenset[int]:
    """Return where the links begin that programs would not read as ours just as far as they go."""
    decoded, edits = part.decoded, part.edits(clicks=True)
    edited = replace(
        decoded, text=apply_edits(decoded.text, edits), mask=apply_edits(decoded.mask, edits)
    )
    found = {
        (url.start, url.end)
        for url in find_urls(edited, part.form)
        if not url.doubt or url.doubt == GOES_ON
    }
    misread: set[int] = set()
    grown = 0
    for edit in edits:
        start = edit.start + grown
        grown += growth(edit)
        if (start, edit.end + grown) not in found:
            misread.add(edit.start)
    return frozenset(misread)


def _without(part: TextPart, starts: frozenset[int], passed: PassThrough) -> TextPart:
    """Return the part without the links that begin there, left for a reason."""
    left = (
        LeftLink(part.entity.path, found.link.url, found.link.text, passed)
        for found in part.links
        if found.start in starts
    )
    return replace(
        part,
        links=tuple(found for found in part.links if found.start not in starts),
        left=(*part.left, *left),
    )
