"""HTML as tokens with byte offsets.

The states are those of the HTML Standard, 13.2.5, each regular expression naming the states it
stands for.  What is scanned is the mask of a decoded body: ASCII, with every other byte as 0x80,
so an offset here is an offset there.

Of the tree builder only the switch to raw text is followed (13.2.6.4.4, 13.2.6.4.7); where the
tree would matter further, in svg, math, select and their like, `relay.mime.outline` looks.

Law: the tokens cover the input without gap or overlap.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_WS = rb"[\t\n\f\r ]"
_VALUE = (
    rb"\"[^\"]*+\""  # 13.2.5.36 attribute value (double-quoted)
    rb"|'[^']*+'"  # 13.2.5.37 (single-quoted)
    rb"|(?=>)"  # 13.2.5.35 before attribute value: a missing value
    rb"|[^\t\n\f\r >\"'][^\t\n\f\r >]*+"  # 13.2.5.38 (unquoted)
)
# 13.2.5.34 after attribute name; atomic, so an unclosed quote can not be read another way. The
# common form stands first, for speed.
_AFTER_NAME = (
    rb"(?>=\"[^\"]*+\"|" + _WS + rb"*+=" + _WS + rb"*+(?>" + _VALUE + rb")|(?!" + _WS + rb"*+=))"
)
_BETWEEN = rb"[\t\n\f\r /]*+"  # 13.2.5.32 before attribute name, 13.2.5.40 self-closing start tag
# 13.2.5.33 attribute name, which may begin with =
_ATTRIBUTE_NAME = rb"[^\t\n\f\r />][^\t\n\f\r />=]*+"
_ATTRIBUTES = rb"(?:" + _BETWEEN + _ATTRIBUTE_NAME + _AFTER_NAME + rb")*+" + _BETWEEN
_NAME = rb"[A-Za-z][^\t\n\f\r />]*+"  # 13.2.5.8 tag name
# 13.2.5.6 tag open, 13.2.5.7 end tag open; without `>` the input ends within the tag.
_MARKUP = rb"<(?:(/?)(" + _NAME + rb")" + _ATTRIBUTES + rb"(>?)|[!?/])"
_NO_MARKUP = rb"<(?![A-Za-z/!?])"
# What most tags are, in lower case and after `<` or `</`; each is one of _NAME and _ATTRIBUTES too.
_PLAIN_ATTRIBUTES = rb"(?: [a-z-]++=\"[^\"]*+\")*+"
_PLAIN_TAG = rb"[a-z][a-z0-9]*+" + _PLAIN_ATTRIBUTES + rb">"

_STEP = re.compile(rb"([^<]*+(?:" + _NO_MARKUP + rb"[^<]*+)*+)(?:" + _MARKUP + rb")?")
_TAG = re.compile(_MARKUP)
_GIVEN = rb"(?:" + _WS + rb"*+=" + _WS + rb"*+(" + _VALUE + rb"))?"
_ATTRIBUTE = re.compile(rb"(" + _ATTRIBUTE_NAME + rb")" + _GIVEN)
_SCRIPT = re.compile(rb"<!--|-->|<(/?)script(?=[\t\n\f\r />])", re.IGNORECASE)
_COMMENT_END = re.compile(rb"--!?>")

RAW_TEXT = frozenset(
    (b"style", b"xmp", b"iframe", b"noembed", b"noframes", b"title", b"textarea", b"script")
)
"""Elements whose content is text up to their own end tag: RAWTEXT, RCDATA and script data."""


class TokenKind(Enum):
    """What a stretch of the document is."""

    TEXT = "text"
    START = "start"
    END = "end"
    COMMENT = "comment"
    """Bogus comments, `<!…>` and `<?…>` among them."""
    DOCTYPE = "doctype"
    NOTHING = "nothing"
    """`</>`, of which nothing comes."""
    CUT = "cut"
    """The input ends within a tag, of which nothing comes, or within a comment or doctype."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token, `mask[start:end]`."""

    kind: TokenKind
    start: int
    end: int
    name: bytes = b""
    """Of a tag, ASCII lower case."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; its value is `mask[start:end]`, without quotes, references not decoded."""

    name: bytes
    """ASCII lower case."""
    start: int
    end: int
    quote: bytes
    """`"`, `'` or empty."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Which tags a scan stops at; all others are passed over inside the regular expression.

    It reads masks in lower case: that is quicker than a match without regard to case.

    Law: a scan at a pace gives the tokens of the full scan without text and tags not named.
    """

    step: re.Pattern[bytes]


def make_pace(names: frozenset[bytes]) -> Pace:
    """Return the pace that stops at tags of these names, and at those that begin raw text."""
    return Pace(re.compile(rb"(" + _passed_over(names) + rb")(?:" + _MARKUP + rb")?"))


def _passed_over(names: frozenset[bytes], too: bytes = b"") -> bytes:
    """Return the pattern of a stretch of text, tags of all names but these, and what is `too`."""
    stops = _any_of(names | RAW_TEXT | {b"plaintext"}) + rb"[\t\n\f\r />]"
    opened = rb"</?(?!" + stops + rb")"
    passed = opened + _PLAIN_TAG + rb"|" + opened + _NAME + _ATTRIBUTES + rb">"
    return rb"[^<]*+(?:(?:" + passed + rb"|" + _NO_MARKUP + too + rb")[^<]*+)*+"


def _any_of(names: frozenset[bytes]) -> bytes:
    """Return the pattern of any of the names, by first letters: most tags differ there."""
    rests: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for name in sorted(names):
        rests[name[:1]].append(name[1:])
    by_letter = (first + rb"(?:" + b"|".join(rest) + rb")" for first, rest in rests.items())
    return rb"(?:" + b"|".join(by_letter) + rb")"


def scan_tokens(
    mask: bytes, position: int = 0, raw_text: bytes = b"", pace: Pace | None = None
) -> Iterator[Token]:
    """Yield the tokens from `position` on, in order.

    `raw_text` names the element whose content begins at `position`, where it is one of raw text.
    At a pace the mask is one in lower case.
    """
    step = pace.step if pace else _STEP
    while position < len(mask):
        if raw_text:
            for token in _raw_text(mask, position, raw_text):
                if pace is None or token.kind is not TokenKind.TEXT:
                    yield token
                position = token.end
            raw_text = b""
            continue
        match = step.match(mask, position)
        assert match is not None, "the step matches the empty text"
        if pace is None and match.end(1) > position:
            yield Token(TokenKind.TEXT, position, match.end(1))
        position = match.end(1)
        if position == len(mask):
            return
        token = _tag(match, position) if match[3] else _declaration(mask, position)
        yield token
        position = token.end
        if token.kind is TokenKind.START and token.name in _RAW_TEXT_OR_PLAIN:
            raw_text = token.name


_RAW_TEXT_OR_PLAIN = RAW_TEXT | {b"plaintext"}


@dataclass(frozen=True, slots=True)
class Stride:
    """How links are taken that nothing else stands between; it reads masks in lower case.

    Law: scan_tokens gives a start and an end tag for each link, and no other that is named.
    """

    link: re.Pattern[bytes]


# 13.2.5.43 to 13.2.5.52, as _comment reads them; none that is conditional.
_PLAIN_COMMENT = rb"<!--(?!-?>|\[if)[^-]*+(?:-(?!-!?>)[^-]*+)*+--!?>"


def make_stride(names: frozenset[bytes]) -> Stride:
    """Return the stride that ends at tags of these names, `a` among them, and at raw text.

    It passes over comments, but ends at conditional ones.
    """
    passed = _passed_over(names, rb"|" + _PLAIN_COMMENT)
    other = _BETWEEN + rb"(?!href[\t\n\f\r />=])" + _ATTRIBUTE_NAME + _AFTER_NAME
    href = _BETWEEN + rb"href" + _WS + rb"*+=" + _WS + rb"*+(" + _VALUE + rb")"
    tag = rb"<a(?=[\t\n\f\r /])(?:" + other + rb")*+" + href + _ATTRIBUTES + rb">"
    plain = (
        rb"<a(?: (?!href=)[a-z-]++=\"[^\"]*+\")*+ href=(\"[^\"]*+\")" + _PLAIN_ATTRIBUTES + rb">"
    )
    link = rb"(" + plain + rb"|" + tag + rb")" + passed + rb"</a>"
    return Stride(re.compile(rb"(" + passed + rb")(?:" + link + rb")?"))


PlainLink = tuple[int, int, int, int, int]
"""An `a` with href and all up to its `</a>`, within which no stride ends.

Where its tag starts and ends, where the value of its href does, without quotes, and where `</a>`
begins.
"""


def take_links(mask: bytes, position: int, stride: Stride) -> tuple[list[PlainLink], int]:
    """Return the links from `position` on, and where what ends the stride begins."""
    links: list[PlainLink] = []
    for match in stride.link.finditer(mask, position):
        (_, end), (_, passed), (start, tag_end), plain, other = match.regs
        if start < 0:
            position = passed
            break
        href_start, href_end = plain if plain[0] >= 0 else other
        if mask[href_start] in _QUOTES:
            href_start, href_end = href_start + 1, href_end - 1
        links.append((start, tag_end, href_start, href_end, end - _LINK_END))
    return links, position


_QUOTES = b"\"'"
_LINK_END = len(b"</a>")


@dataclass(frozen=True, slots=True)
class AttributeSearch:
    """How the first attribute of one name is found without reading the others.

    Law: it finds what read_attributes has under that name.
    """

    pattern: re.Pattern[bytes]


def make_attribute_search(name: bytes) -> AttributeSearch:
    """Return the search for a name of ASCII letters in lower case."""
    wanted = rb"(?i:" + name + rb")(?=[\t\n\f\r />=])"
    other = _BETWEEN + rb"(?!" + wanted + rb")" + _ATTRIBUTE_NAME + _AFTER_NAME
    return AttributeSearch(
        re.compile(rb"(?:" + other + rb")*+" + _BETWEEN + rb"(" + wanted + rb")" + _GIVEN)
    )


def find_attribute(mask: bytes, token: Token, search: AttributeSearch) -> Attribute | None:
    """Return the first attribute of the name of the search, where a tag has it."""
    match = search.pattern.match(mask, _name_end(token), token.end)
    return None if match is None else _attribute(match)


def read_attributes(mask: bytes, token: Token) -> tuple[Attribute, ...]:
    """Return the attributes of a tag in order; of equal names only the first (13.2.5.33)."""
    found: dict[bytes, Attribute] = {}
    for match in _ATTRIBUTE.finditer(mask, _name_end(token), token.end):
        attribute = _attribute(match)
        found.setdefault(attribute.name, attribute)
    return tuple(found.values())


def _name_end(token: Token) -> int:
    return token.start + 1 + (token.kind is TokenKind.END) + len(token.name)


def _attribute(match: re.Match[bytes]) -> Attribute:
    start, end = match.span(2)
    if start < 0:
        start = end = match.end(1)
    quote = match.string[start : start + 1] if end > start else b""
    if quote not in (b'"', b"'"):
        return Attribute(match[1].lower(), start, end, b"")
    return Attribute(match[1].lower(), start + 1, end - 1, quote)


def _tag(match: re.Match[bytes], start: int) -> Token:
    if not match[4]:
        return Token(TokenKind.CUT, start, len(match.string))
    kind = TokenKind.END if match[2] else TokenKind.START
    return Token(kind, start, match.end(), match[3].lower())


def _declaration(mask: bytes, start: int) -> Token:
    """Return what begins with `<!`, `<?` or with `</` and no letter."""
    if mask.startswith(b"<!--", start):
        return _comment(mask, start)
    if mask.startswith(b"</>", start):  # 13.2.5.7: missing end tag name
        return Token(TokenKind.NOTHING, start, start + 3)
    kind = TokenKind.COMMENT
    if mask[start + 2 : start + 9].lower() == b"doctype" and mask[start + 1] == ord("!"):
        kind = TokenKind.DOCTYPE
    # 13.2.5.41 bogus comment; 13.2.5.53 and on: the first > ends a doctype in every state.
    close = mask.find(b">", start + 2)
    if close < 0:
        return Token(TokenKind.CUT, start, len(mask))
    return Token(kind, start, close + 1)


def _comment(mask: bytes, start: int) -> Token:
    # 13.2.5.43 comment start, 13.2.5.44 comment start dash: `<!-->` and `<!--->` are closed.
    for abrupt in (b">", b"->"):
        if mask.startswith(abrupt, start + 4):
            return Token(TokenKind.COMMENT, start, start + 4 + len(abrupt))
    # 13.2.5.50 comment end dash to 13.2.5.52 comment end bang
    close = _COMMENT_END.search(mask, start + 4)
    if close is None:
        return Token(TokenKind.CUT, start, len(mask))
    return Token(TokenKind.COMMENT, start, close.end())


def _raw_text(mask: bytes, start: int, name: bytes) -> Iterator[Token]:
    """Yield the text of an element of raw text, and its end tag where there is one."""
    end = _raw_text_end(mask, start, name)
    if end > start:
        yield Token(TokenKind.TEXT, start, end)
    if end < len(mask):
        match = _TAG.match(mask, end)
        assert match is not None, "an end tag with its name stands here"
        closed = bool(match[3])
        kind = TokenKind.END if closed else TokenKind.CUT
        yield Token(kind, end, match.end() if closed else len(mask), name if closed else b"")


def _raw_text_end(mask: bytes, start: int, name: bytes) -> int:
    """Return where the end tag of a raw text element begins, or the length of the input."""
    if name == b"plaintext":  # 13.2.5.5: there is no way back
        return len(mask)
    if name == b"script":
        return _script_end(mask, start)
    # 13.2.5.9 to 13.2.5.14: an appropriate end tag; a name that goes on is text.
    at = mask.find(b"</", start)
    while at >= 0:
        after = at + 2 + len(name)
        if mask[at + 2 : after].lower() == name and mask[after : after + 1] in _ENDS_NAME:
            return at
        at = mask.find(b"</", at + 2)
    return len(mask)


_ENDS_NAME = (b"\t", b"\n", b"\f", b"\r", b" ", b"/", b">")


def _script_end(mask: bytes, start: int) -> int:
    """Follow 13.2.5.15 script data to 13.2.5.31 script data double escape end."""
    escaped = double = False
    position = start
    while match := _SCRIPT.search(mask, position):
        position = match.end()
        if match[0] == b"<!--":
            escaped = True
            position -= 2  # `<!-->` leaves at once: 13.2.5.22 escaped dash dash
        elif match[0] == b"-->":
            escaped = double = False
        elif not match[1]:
            double = double or escaped
        elif double:
            double = False
        else:
            return match.start()
    return len(mask)
