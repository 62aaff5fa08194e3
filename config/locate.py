"""On which line of a TOML file each key stands.

tomllib gives no lines.  The text is valid TOML 1.0, which tomllib has said before, so this reads
only as much of the grammar as tells keys from values.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""The names of tables and keys on the way to a value; a number is a place in a list, from 0."""

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\r]+|\#[^\n]*)
    |(?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    |(?P<mark>[\[\]{}=,.\n])
    |(?P<bare>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDS_SCALAR = frozenset("\n,]}")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    is_string: bool


def key_text(path: KeyPath) -> str:
    """Return a path as people write it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def locate_keys(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, of every table, key and list item of a valid TOML text.

    Law: every path of the parsed text is located.
    """
    return _Reader(list(_tokens(text))).read()


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            yield _Token(match[0], line, is_string=match.lastgroup == "string")
        line += match[0].count("\n")


class _Reader:
    """Walks the tokens once."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._last: dict[KeyPath, int] = {}
        """The number of the last table of each list of tables."""

    def read(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while not self._ended():
            if self._peek() == "\n":
                self._at += 1
            elif self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> KeyPath:
        line = self._tokens[self._at].line
        self._at += 1
        repeated = self._peek() == "["
        self._at += repeated
        *outer, name = self._key("]")
        self._at += repeated
        path: KeyPath = ()
        for part in outer:
            path = self._inside((*path, part))
            self._note(path, line)
        path = (*path, name)
        if repeated:
            self._note(path, line)
            self._last[path] = self._last.get(path, -1) + 1
            path = (*path, self._last[path])
        self._note(path, line)
        return path

    def _inside(self, path: KeyPath) -> KeyPath:
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: KeyPath) -> None:
        line = self._tokens[self._at].line
        path = table
        for part in self._key("="):
            path = (*path, part)
            self._note(path, line)
        self._value(path)

    def _key(self, end: str) -> list[str]:
        """Read a dotted key and the mark that ends it."""
        parts: list[str] = []
        while (token := self._tokens[self._at]).text != end or token.is_string:
            if token.is_string:
                parts.append(tomllib.loads(f"key = {token.text}")["key"])
            elif token.text != ".":
                parts.append(token.text)
            self._at += 1
        self._at += 1
        return parts

    def _value(self, path: KeyPath) -> None:
        match self._peek():
            case "[":
                self._list(path)
            case "{":
                self._inline(path)
            case _:
                while not self._ended() and self._peek() not in _ENDS_SCALAR:
                    self._at += 1

    def _list(self, path: KeyPath) -> None:
        self._at += 1
        number = 0
        while self._peek() != "]":
            if self._peek() in "\n,":
                self._at += 1
                continue
            self._note((*path, number), self._tokens[self._at].line)
            self._value((*path, number))
            number += 1
        self._at += 1

    def _inline(self, path: KeyPath) -> None:
        self._at += 1
        while self._peek() != "}":
            if self._peek() in "\n,":
                self._at += 1
                continue
            self._pair(path)
        self._at += 1

    def _peek(self) -> str:
        return self._tokens[self._at].text

    def _ended(self) -> bool:
        return self._at >= len(self._tokens)

    def _note(self, path: KeyPath, line: int) -> None:
        self._lines.setdefault(path, line)
