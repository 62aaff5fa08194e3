"""The tree of a message's parts, by offset (RFC 2046 5.1).

What can not be told is an opaque leaf: a multipart without boundary or delimiter, a part that says
one thing twice and differently, whatever is too deep or too many.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from relay.mail import Entity
from relay.mime.header import Header, Structured, parse_structured, read_header

MAX_PARTS = 1000
"""In a message.  Real mail stays under a few hundred; RFC 2046 sets no limit."""
MAX_DEPTH = 32
"""Of multiparts in each other.  Forwarded bounces reach about ten."""

_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
# RFC 2046 5.1.1: `--` closes, white space is transport padding.
# Deviates: RFC 2046 5.1.1 takes any line that begins with the delimiter; like every reader in use
# we want the whole line, for boundaries of inner parts often begin with that of the outer one.
_DELIMITER_REST = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_NOTHING = parse_structured(b"")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part stands."""

    start: int
    end: int
    path: str = "1"
    depth: int = 0
    default_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a part's header says about its content."""

    media_type: str
    encoding: str
    charset: str
    disposition: str
    boundary: bytes
    clear: bool
    """Nothing is said twice and differently, and the media type is well formed."""


def parse_entity(raw: bytes) -> Entity:
    """Return the entity tree of a message whose lines end CRLF or LF.

    message/rfc822 is a leaf: embedded messages are never looked into.

    Law: it never raises, and offsets are in order and within those of the parent.
    """
    return _Parser(raw).parse(_Place(0, len(raw)))


def move_body(entity: Entity, by: int) -> Entity:
    """Return the entity of a message whose header has become longer by so many bytes."""
    return _moved(entity, 0, by) if by else entity


def _moved(entity: Entity, by: int, body_by: int) -> Entity:
    return replace(
        entity,
        start=entity.start + by,
        body=entity.body + body_by,
        end=entity.end + body_by,
        children=tuple([_moved(child, body_by, body_by) for child in entity.children]),
    )


def walk_entities(entity: Entity) -> Iterator[Entity]:
    """Yield the entity and all below it, each before its children."""
    yield entity
    for child in entity.children:
        yield from walk_entities(child)


def leaves(entity: Entity) -> Iterator[Entity]:
    """Yield the entities without children, in order of the message."""
    return (part for part in walk_entities(entity) if not part.children)


class _Parser:
    """Parses one message and counts its parts."""

    def __init__(self, raw: bytes) -> None:
        """Begin with the root counted."""
        self._raw = raw
        self._left = MAX_PARTS - 1

    def parse(self, place: _Place) -> Entity:
        """Return the entity at a place."""
        header = read_header(self._raw, place.start, place.end)
        said = _read_fields(header, place.default_type)
        children: tuple[Entity, ...] = ()
        # Without an empty line there is no body, or no header, that anything could be put into.
        opaque = not said.clear or header.end == header.body
        if said.media_type.startswith("multipart/") and not opaque:
            children = self._children(place, header.body, said)
            opaque = not children
        return Entity(
            start=place.start,
            body=header.body,
            end=place.end,
            media_type=said.media_type,
            encoding=said.encoding,
            charset=said.charset,
            children=children,
            path=place.path,
            disposition=said.disposition,
            opaque=opaque,
        )

    def _children(self, place: _Place, body: int, said: _Said) -> tuple[Entity, ...]:
        """Return the parts of a multipart; none where they can not be told.

        The delimiters of an outer multipart have bounded the place already, so they end the inner
        ones whatever those lack (RFC 2046 5.1.2).
        """
        if not said.boundary or place.depth >= MAX_DEPTH:
            return ()
        parts = _find_parts(self._raw, (body, place.end), said.boundary, self._left)
        self._left -= len(parts)
        # RFC 2046 5.1.5: in a digest the default is message/rfc822.
        default = "message/rfc822" if said.media_type == "multipart/digest" else "text/plain"
        return tuple(
            self.parse(_Place(start, end, f"{place.path}.{number}", place.depth + 1, default))
            for number, (start, end) in enumerate(parts, 1)
        )


def _find_parts(
    raw: bytes, within: tuple[int, int], boundary: bytes, limit: int
) -> list[tuple[int, int]]:
    """Return where the parts between delimiter lines begin and end; none if over `limit`.

    The line end before a delimiter belongs to it (RFC 2046 5.1.1).  What follows the closing
    delimiter is epilogue; where that is missing the last part ends with the multipart.
    """
    body, end = within
    delimiter = b"\n--" + boundary
    parts: list[tuple[int, int]] = []
    opened: int | None = None
    rejected = 0
    # A body that is not empty has a line end before it: that of the empty line.
    at = raw.find(delimiter, max(body - 1, 0), end)
    while at >= 0:
        rest = _DELIMITER_REST.match(raw, at + len(delimiter), end)
        if rest is None:
            rejected += 1
            following = at + 1
        else:
            if opened is not None:
                parts.append((opened, max(opened, at - raw.startswith(b"\r", at - 1))))
            if rest[1]:
                return parts
            opened = rest.end()
            following = opened - 1
        if len(parts) >= limit or rejected > MAX_PARTS:
            return []  # bounded work: a find for each line of a body made of look-alikes is not
        at = raw.find(delimiter, following, end)
    return parts if opened is None else [*parts, (opened, end)]


def _read_fields(header: Header, default_type: str) -> _Said:
    content_type, type_clear = _single(header, b"content-type")
    disposition, disposition_clear = _single(header, b"content-disposition")
    encoding, encoding_clear = _single(header, b"content-transfer-encoding")
    parameters = content_type.parameters
    media_type = content_type.main or default_type
    well_formed = _MEDIA_TYPE.fullmatch(media_type) is not None
    boundary = parameters.get("boundary", "").rstrip()  # RFC 2046 5.1.1: it does not end in a space
    return _Said(
        # RFC 2045 5.2: what is not understood is plain text.
        media_type=media_type if well_formed else "text/plain",
        encoding=encoding.main or "7bit",  # RFC 2045 6.1
        charset=parameters.get("charset", "").strip().lower(),
        disposition=disposition.main,
        boundary=boundary.encode("latin-1", "replace"),
        clear=well_formed
        and type_clear
        and disposition_clear
        and encoding_clear
        and content_type.repeated.isdisjoint(("boundary", "charset")),
    )


def _single(header: Header, name: bytes) -> tuple[Structured, bool]:
    """Return the value of the first field of a name, and whether all others say the same."""
    values = header.values(name)
    if not values:
        return _NOTHING, True
    alike = len(values) == 1 or len({value.lower() for value in values}) == 1
    return parse_structured(values[0]), alike
