"""What of an HTML document a mark may touch.

Links and images, where quoted history lies, and the places where something put in is live.

The tokenizer does not build a tree.  Where a tree might read the tokens otherwise, the document
is ambiguous and left alone; where it would only drop or hide elements, they are inert: nothing
there is a link to us, and nothing is put in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.mime.history import MARKS, History
from relay.mime.html import (
    RAW_TEXT,
    Attribute,
    Token,
    TokenKind,
    find_attribute,
    make_attribute_search,
    make_pace,
    make_stride,
    read_attributes,
    scan_tokens,
    take_links,
)

_FOREIGN = frozenset((b"svg", b"math"))  # HTML Standard 13.2.6.5: foreign content
_FALLBACK = frozenset((b"object", b"video", b"audio", b"canvas", b"noscript"))
_INERT = _FOREIGN | _FALLBACK | {b"template", b"select"}
# 13.2.6.5: within foreign content, HTML begins anew in these.
_INTEGRATION = frozenset(
    (b"foreignobject", b"annotation-xml", b"mi", b"mo", b"mn", b"ms", b"mtext", b"desc")
)
_VOID = frozenset(
    b"area base br col embed hr img input link meta param source track wbr".split()  # 13.1.2
)
_HEAD = frozenset((b"html", b"head", b"title", b"meta", b"link", b"style", b"script", b"base"))

_STOPS = _INERT | {b"a", b"area", b"body", b"head", b"frameset", b"blockquote"}
_QUICK, _STRIDE = make_pace(_STOPS), make_stride(_STOPS)
_THOROUGH = make_pace(_STOPS | _INTEGRATION | {b"img", b"div"})
_NEEDS_THOROUGH = _FOREIGN | {b"blockquote"}

_MAX_OPEN = 32
"""Inert elements in each other; mail has three or four, and work grows with them."""

_HREF = make_attribute_search(b"href")
_SRC = make_attribute_search(b"src")
_CONDITIONAL = re.compile(rb"<!--\[if[\t\n\f\r (!]", re.IGNORECASE)


class Element(NamedTuple):
    """An `a` or `area` with href, or an `img` with src.

    A tuple, for there are hundreds in a message (relay.template).
    """

    name: bytes
    start: int
    """Of its tag."""
    end: int
    """Of its tag."""
    target_start: int
    target_end: int
    """Of the value of href or src, without quotes."""
    inner_end: int
    """What an `a` encloses is `mask[end:inner_end]`."""
    inert: bool = False
    """It stands where a tree might drop or hide it."""
    quoted: bool = False
    """It stands in quoted history."""

    @property
    def tag(self) -> Token:
        """The start tag."""
        return Token(TokenKind.START, self.start, self.end, self.name)


@dataclass(frozen=True, slots=True)
class Outline:
    """A document as far as marks are concerned; offsets into the mask."""

    lower: bytes = field(repr=False)
    """The mask in lower case."""
    links: tuple[Element, ...]
    images: tuple[Element, ...]
    """All of them where one of a host could be there, and perhaps where not."""
    conditional: tuple[Token, ...]
    """Conditional comments, which only Outlook for Windows reads."""
    top: int
    """After `<body>`, else after the head, else before all that is shown."""
    history: int | None
    """Where quoted history begins."""
    body_end: int | None
    """Before the last `</body>`."""
    end: int
    """The last place that is not within a tag, comment or text that never ends."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Two parsers might read the document in two ways."""

    why: str


_ANY = (b"",)


def outline_html(mask: bytes, hosts: Sequence[bytes] = _ANY) -> Outline | Ambiguous:
    """Return what of a document may be touched.

    Images matter only where one of the hosts, in lower case, is named in the document.

    Law: `<img>` put in at a place named here is a token of its own and changes no other.
    Law: without images all else is the same.
    """
    lower = mask.lower()
    images = any(host in lower for host in hosts)
    if images or (b"<div" in lower and any(mark in lower for mark in MARKS)):
        return _thorough(mask, lower)
    walk = _Walk(mask, lower)
    position = 0
    while position < len(mask):
        links, position = take_links(lower, position, _STRIDE)
        walk.links += [Element(b"a", *link) for link in links]
        for token in scan_tokens(lower, position, pace=_QUICK):
            ambiguous = walk.step(token)
            if ambiguous:
                return Ambiguous(ambiguous)
            if token.name in _NEEDS_THOROUGH:
                return _thorough(mask, lower)
            position = token.end
            if walk.plain:
                break
        else:
            break
    return walk.outline()


def _thorough(mask: bytes, lower: bytes) -> Outline | Ambiguous:
    """Return the outline with images, what is within svg and math, and quoted history."""
    walk = _Walk(mask, lower)
    for token in scan_tokens(lower, pace=_THOROUGH):
        ambiguous = walk.step(token)
        if ambiguous:
            return Ambiguous(ambiguous)
    return walk.outline()


class _Walk:
    """The way along the tokens: what has been found so far."""

    def __init__(self, mask: bytes, lower: bytes) -> None:
        self.mask = mask
        self.lower = lower
        self.inert = _InertElements(mask)
        self.history = History(mask)
        self.links: list[Element] = []
        self.images: list[Element] = []
        self.conditional: list[Token] = []
        self.open_link: tuple[Token, Attribute, bool, bool] | None = None
        self.raw_text: Token | None = None
        self.top: int | None = None
        self.in_body = False
        self.body_end: int | None = None
        self.end = len(mask)

    @property
    def plain(self) -> bool:
        """Whether nothing is open that bears on what comes next."""
        return self.open_link is None and self.raw_text is None and not self.inert.open

    def step(self, token: Token) -> str:
        """Take the next token; return why it is ambiguous, or nothing."""
        within_raw_text, self.raw_text = self.raw_text, None
        match token.kind:
            case TokenKind.START:
                return self._start(token)
            case TokenKind.END:
                return self._end_tag(token)
            case TokenKind.COMMENT:
                if _CONDITIONAL.match(self.mask, token.start):
                    self.conditional.append(token)
                return self.inert.comment(token)
            case TokenKind.CUT:
                self.end = (within_raw_text or token).start
                return self.inert.comment(token)
            case TokenKind.TEXT | TokenKind.DOCTYPE | TokenKind.NOTHING:
                return ""

    def outline(self) -> Outline:
        """Return what was found when the tokens have come to their end."""
        unclosed = (self.raw_text.start if self.raw_text else self.end, self.inert.outermost())
        end = min(self.end, *unclosed)
        self._close_link(end)
        top = _top(self.mask) if self.top is None else self.top
        return Outline(
            lower=self.lower,
            links=tuple(sorted(self.links, key=_start)),
            images=tuple(self.images),
            conditional=tuple(self.conditional),
            top=min(top, end),
            history=self.history.start,
            body_end=self.body_end,
            end=end,
        )

    def _start(self, token: Token) -> str:
        name = token.name
        if name in RAW_TEXT or name == b"plaintext":
            self.raw_text = token
            return self.inert.raw_text(token)
        if name in _INERT or name in _INTEGRATION:
            return self.inert.start(token)
        if name == b"frameset":  # 13.2.6.4.20: it may take the place of the body
            return "frameset"
        if name == b"body" and not self.in_body and not self.inert.open:
            self.in_body, self.top = True, token.end
        elif name in (b"div", b"blockquote"):
            self.history.start_tag(token, inert=bool(self.inert.open))
        elif name in (b"a", b"area", b"img"):
            self._element(token)
        return ""

    def _end_tag(self, token: Token) -> str:
        name = token.name
        if name == b"a":
            self._close_link(token.start)
        elif name == b"body" and not self.inert.open:
            self.body_end = token.start
        elif name == b"head" and self.top is None and not self.inert.open:
            self.top = token.end
        elif name in (b"div", b"blockquote"):
            self.history.end_tag(token)
        elif name in _INERT:
            return self.inert.end_tag(token)
        return ""

    def _element(self, token: Token) -> None:
        if token.name == b"a":
            self._close_link(token.start)
        image = token.name == b"img"
        target = find_attribute(self.mask, token, _SRC if image else _HREF)
        if target is None:
            return
        inert, quoted = bool(self.inert.open), self.history.here
        if token.name == b"a":
            self.open_link = (token, target, inert, quoted)
            return
        element = _element(token, target, token.end, inert=inert, quoted=quoted)
        (self.images if image else self.links).append(element)

    def _close_link(self, end: int) -> None:
        if self.open_link:
            token, target, inert, quoted = self.open_link
            self.links.append(_element(token, target, end, inert=inert, quoted=quoted))
            self.open_link = None


def _element(
    tag: Token, target: Attribute, inner_end: int, *, inert: bool, quoted: bool
) -> Element:
    return Element(tag.name, tag.start, tag.end, target.start, target.end, inner_end, inert, quoted)


def _start(element: Element) -> int:
    return element.start


class _InertElements:
    """The elements that are open in which nothing is touched, outermost first."""

    def __init__(self, mask: bytes) -> None:
        self.mask = mask
        self.open: list[Token] = []
        self.stuck: set[int] = set()
        """Where those begin that no end tag closes, for something within is open for good."""

    def outermost(self) -> int:
        """Return where the outermost begins, or the length of the document."""
        return self.open[0].start if self.open else len(self.mask)

    def start(self, token: Token) -> str:
        """Take a start tag; return why it is ambiguous, or nothing."""
        foreign = self._in(_FOREIGN)
        if token.name in _INTEGRATION:
            return (
                "" if not foreign or self._only_text(token) else f"{_shown(token)} in svg or math"
            )
        if token.name in (b"select", b"noscript") and self._in({token.name}):
            return f"{_shown(token)} within its like"
        if token.name in _FOREIGN and self._self_closing(token):
            return ""
        self.open.append(token)
        return "" if len(self.open) <= _MAX_OPEN else "too many elements in each other"

    def end_tag(self, token: Token) -> str:
        """Take an end tag; return why it is ambiguous, or nothing."""
        if not self._in({token.name}):
            return ""
        opened = self.open[-1]
        if opened.name != token.name:
            return f"{_shown(token)} ends within {_shown(opened)}"
        if token.name == b"noscript" and self._first_end(opened) != token.start:
            return "noscript ends early where scripts run"
        # 13.2.6.4.7, any other end tag: it is ignored where an element within is still open.
        if token.name not in _FALLBACK or self._balanced(opened, token):
            self.open.pop()
        return ""

    def raw_text(self, token: Token) -> str:
        """Take a start tag of raw text; return why it is ambiguous, or nothing.

        13.2.6.5, 13.2.6.4.16: in svg, math and select it begins no raw text.  Both readings go on
        alike where there is no markup in it.
        """
        if not self._in(_FOREIGN | {b"select"}) or self._only_text(token):
            return ""
        return f"{_shown(token)} in svg, math or select"

    def comment(self, token: Token) -> str:
        """Take what a tokenizer reads as a comment; return why it is ambiguous, or nothing.

        13.2.5.42: in foreign content `<![CDATA[` begins a section that ends with `]]>`.
        """
        if not self._in(_FOREIGN) or not self.mask.startswith(b"<![CDATA[", token.start):
            return ""
        return "" if self.mask.find(b"]]>", token.start) == token.end - 3 else "CDATA"

    def _balanced(self, opened: Token, end: Token) -> bool:
        # What is not balanced once never is: this end tag is then in it.
        if opened.start in self.stuck:
            return False
        if _balanced(self.mask[opened.end : end.start]):
            return True
        self.stuck.add(opened.start)
        return False

    def _in(self, names: frozenset[bytes] | set[bytes]) -> bool:
        return any(token.name in names for token in self.open)

    def _only_text(self, token: Token) -> bool:
        following = self.mask.find(b"<", token.end)
        if following < 0:
            return False
        end = next(scan_tokens(self.mask, following))
        return end.kind is TokenKind.END and end.name == token.name

    def _first_end(self, token: Token) -> int:
        end = re.compile(rb"</" + token.name + rb"(?=[\t\n\f\r />])", re.IGNORECASE)
        match = end.search(self.mask, token.end)
        return match.start() if match else -1

    def _self_closing(self, token: Token) -> bool:
        if self.mask[token.end - 2 : token.end] != b"/>":
            return False
        attributes = read_attributes(self.mask, token)
        # `<svg width=5/>` has the value `5/`.
        return not attributes or bool(attributes[-1].quote) or attributes[-1].end < token.end - 1


def _balanced(inner: bytes) -> bool:
    """Tell whether each element within is closed where it was opened."""
    names: list[bytes] = []
    for token in scan_tokens(inner):
        if token.kind is TokenKind.START and token.name not in _VOID:
            names.append(token.name)
        elif token.kind is TokenKind.END and (not names or names.pop() != token.name):
            return False
    return not names


def _top(mask: bytes) -> int:
    """Return the place before all that is shown, where no body and no head is named."""
    within = b""
    for token in scan_tokens(mask):
        blank = token.kind is TokenKind.TEXT and not mask[token.start : token.end].strip()
        unseen = token.kind in (TokenKind.COMMENT, TokenKind.DOCTYPE, TokenKind.END)
        if within or blank or unseen:
            within = b""
        elif token.kind is TokenKind.START and token.name in _HEAD:
            within = token.name if token.name in RAW_TEXT else b""
        else:
            return token.start
    return len(mask)


def _shown(token: Token) -> str:
    return token.name.decode("ascii", "replace")
