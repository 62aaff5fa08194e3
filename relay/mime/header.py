"""The header block of a message or part, read by offset."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_SHOWN_BYTES = 8192
"""More of a value is not decoded for display: the decoder of encoded words is not linear."""

# RFC 5322 3.6.8 names a field; 4.5 permits white space before the colon; 2.2.3 folds.
# It is empty where an empty line stands, and at the end.
_FIELD = re.compile(rb"(?=\r?\n)|(?:([!-9;-~]++)[ \t]*+:)?+[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+")
_EMPTY_LINES = (b"\r\n", b"\n")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_LEXEME = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[();]|[^"();]+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NESTING = re.compile(r"\\.|[()]", re.DOTALL)
_EXTENDED_NAME = re.compile(r"(?P<name>[^*]+)\*(?:(?P<number>[0-9]{1,4})(?P<coded>\*)?)?")


class Field(NamedTuple):
    """One field `raw[start:end]`, folded lines and line end included."""

    name: bytes
    """Lower case; empty for an mbox `From ` line and for a line that is no field."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header block and its fields, in order and without gaps.

    Law: the fields cover `raw[start:end]`; `raw[end:body]` is the empty line, or nothing.
    """

    raw: bytes = field(repr=False)
    start: int
    end: int
    body: int
    fields: tuple[Field, ...]

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of all fields of a lower-case name, unfolded and trimmed."""
        return tuple([self.value_of(found) for found in self.fields if found.name == name])

    def value(self, name: bytes) -> bytes | None:
        """Return the value of the first field of a lower-case name, or None."""
        return next(iter(self.values(name)), None)

    def value_of(self, found: Field) -> bytes:
        """Return the value of a field, unfolded and trimmed; empty where it has no colon."""
        _name, _colon, text = self.raw[found.start : found.end].partition(b":")
        text = text.strip(b" \t\r\n")
        # Every line end within a field is of a fold.
        return text.replace(b"\r\n", b"").replace(b"\n", b"") if b"\n" in text else text


@dataclass(frozen=True, slots=True)
class Structured:
    """A value with parameters (RFC 2045 5.1): Content-Type, Content-Disposition."""

    main: str
    """Lower case, without comments."""
    parameters: Mapping[str, str]
    """By lower-case name; the first of a name counts."""
    repeated: frozenset[str]
    """Names given more than once with different values: readers differ in which counts."""


def read_header(raw: bytes, start: int = 0, end: int | None = None) -> Header:
    """Return the header block that begins at `start` and ends before `end` at the latest.

    Lines end LF or CRLF.  A line inside the block that is no field is kept as one without a name;
    where the first line is none, there is no header and the body begins with it.

    Law: it never raises.
    """
    end = len(raw) if end is None else end
    fields: list[Field] = []
    at = start
    for match in _FIELD.finditer(raw, start, end):
        after, name = match.end(), match[1]
        if after == at or not (name or fields or raw.startswith(b"From ", at, end)):
            break
        fields.append(Field(name.lower() if name else b"", at, after))
        at = after
    return Header(raw, start, at, _after_empty_line(raw, at, end), tuple(fields))


def decode_text(value: bytes) -> str:
    """Return an unfolded value as people read it, encoded words decoded (RFC 2047).

    Raw 8-bit bytes are UTF-8 (RFC 6532 3.1), else Latin-1.  For display only: control characters
    become spaces and what is over MAX_SHOWN_BYTES is cut.

    Law: it never raises, and what comes back can be encoded as UTF-8.
    """
    value = value[:MAX_SHOWN_BYTES]
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    if "=?" in text:
        # A broken encoded word is shown as it stands (RFC 2047 6.3).
        with suppress(MessageError, LookupError, ValueError):
            text = str(make_header(decode_header(text)))
    return _CONTROL.sub(" ", text).strip()


def parse_structured(value: bytes) -> Structured:
    """Return the main value and the parameters of an unfolded structured value.

    Quoted strings and comments are resolved (RFC 2045 5.1), continued and encoded parameters put
    together (RFC 2231 3, 4).  Bytes of parameters that are not ASCII appear as Latin-1.

    Law: it never raises.
    """
    main, *rest = _split(value.decode("latin-1"))
    parameters: dict[str, str] = {}
    repeated: set[str] = set()
    continued: dict[str, dict[int, tuple[str, bool]]] = {}
    for part in rest:
        name, equals, text = part.partition("=")
        name, text = name.strip().lower(), _unquote(text.strip())
        if not equals:
            continue
        extended = _EXTENDED_NAME.fullmatch(name) if "*" in name else None
        if extended is not None:
            coded = extended["number"] is None or extended["coded"] is not None
            pieces = continued.setdefault(extended["name"], {})
            pieces.setdefault(int(extended["number"] or 0), (text, coded))
        elif parameters.setdefault(name, text) != text:
            repeated.add(name)
    for name, pieces in continued.items():
        text = _join_continued(pieces)
        if parameters.setdefault(name, text) != text:
            repeated.add(name)
    return Structured(main.strip().lower(), parameters, frozenset(repeated))


def _after_empty_line(raw: bytes, at: int, end: int) -> int:
    if not raw.startswith(_EMPTY_LINES, at, end):
        return at
    return at + (2 if raw.startswith(b"\r", at) else 1)


def _split(value: str) -> list[str]:
    """Split at semicolons outside quoted strings and leave comments out."""
    if not ("(" in value or '"' in value):
        return value.split(";")
    parts: list[str] = []
    part: list[str] = []
    at = 0
    comments = True
    while match := _LEXEME.match(value, at):
        lexeme, at = match[0], match.end()
        if lexeme == ";":
            parts.append("".join(part))
            part = []
            continue
        if lexeme == "(" and comments and _may_be_comment(part):
            after = _comment_end(value, at)
            if after is not None:
                at = after
                continue
            comments = False  # one that is not closed; looking again would be quadratic
        part.append(lexeme)
    return [*parts, "".join(part)]


def _may_be_comment(part: list[str]) -> bool:
    # `name=file(1).pdf` is not well formed but common; a comment stands apart from the value.
    return len(part) == 0 or "=" not in part[0] or part[-1][-1] in " \t"


def _comment_end(value: str, at: int) -> int | None:
    """Return the offset after a comment whose `(` is before `at`; they nest (RFC 5322 3.2.2)."""
    depth = 1
    for match in _NESTING.finditer(value, at):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return None


def _unquote(text: str) -> str:
    match = _QUOTED.match(text)
    if match is None:
        return text
    return _ESCAPED.sub(r"\1", match[1]) if "\\" in match[1] else match[1]


def _join_continued(pieces: Mapping[int, tuple[str, bool]]) -> str:
    """Put the numbered pieces of a parameter together; the first may name a charset."""
    charset = "latin-1"
    joined = b""
    for place, (number, (text, coded)) in enumerate(sorted(pieces.items())):
        if number != place:
            break  # RFC 2231 3: numbers begin at 0 and have no gaps
        if coded and place == 0 and text.count("'") > 1:
            charset, _language, text = text.split("'", 2)  # noqa: PLW2901 - the rest of the same text
        bare = text.encode("latin-1")
        joined += unquote_to_bytes(bare) if coded else bare
    try:
        return joined.decode(charset or "latin-1")
    except (LookupError, ValueError):
        return joined.decode("latin-1")
