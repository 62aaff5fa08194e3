"""The tokenizer vectors of html5lib-tests, from the developers' corpus beside the checkout."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.mime.charref import decode_attribute, decode_text
from relay.mime.html import RAW_TEXT, Token, TokenKind, read_attributes, scan_tokens

_BESIDE = Path(__file__).parents[3] / "shared" / "corpus"
_VECTORS = Path(os.environ.get("INDICIA_CORPUS", _BESIDE)) / "html5lib__html5lib-tests/tokenizer"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not _VECTORS.is_dir(), reason="no corpus beside the checkout"),
]

_STATES = {
    "Data state": b"",
    "RCDATA state": b"title",
    "RAWTEXT state": b"style",
    "Script data state": b"script",
    "PLAINTEXT state": b"plaintext",
}
_DECODES = (b"", b"title", b"textarea")
"""Contents in which character references are decoded: data and RCDATA."""


def _unescape_all(value: object) -> object:
    match value:
        case str():
            return _unescape(value)
        case list():
            return [_unescape_all(each) for each in value]
        case dict():
            return {_unescape(name): _unescape_all(each) for name, each in value.items()}
        case _:
            return value


def _unescape(text: str) -> str:
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), text)


def _cases() -> Iterator[object]:
    """The vectors for what the product reads.

    NUL and lone surrogates never come to it, and CDATA sections exist in foreign content only,
    which it does not touch.
    """
    for file in sorted(_VECTORS.glob("*.test")):
        for number, case in enumerate(json.loads(file.read_text("utf-8")).get("tests", [])):
            given, wanted = case["input"], case["output"]
            if case.get("doubleEscaped", False):
                given, wanted = _unescape(given), _unescape_all(wanted)
            for state in case.get("initialStates", ["Data state"]):
                begin = _begin(state, case.get("lastStartTag"))
                if begin is not None and not re.search("[\0\ud800-\udfff]", given):
                    name = f"{file.stem}-{number}-{state[:5]}"
                    yield pytest.param(given, wanted, state, begin, id=name)


def _begin(state: str, last: str | None) -> bytes | None:
    """Return the element whose content the input is; None where the product knows none such."""
    content = _STATES.get(state)
    if not content or last is None:
        return content
    named = last.encode()
    return named if named in RAW_TEXT and (content == b"script") == (named == b"script") else None


@pytest.mark.parametrize(("given", "wanted", "state", "begin"), list(_cases()))
def test_the_tokens_are_those_of_the_vector(
    given: str, wanted: list[object], state: str, begin: bytes
) -> None:
    text = given.replace("\r\n", "\n").replace("\r", "\n")
    assert _shown(text, begin, state) == _merged(wanted)


def _shown(text: str, begin: bytes, state: str) -> list[object]:
    mask = bytes(ord(char) if char.isascii() else 0x80 for char in text)
    content = begin
    decodes = state in ("Data state", "RCDATA state")
    found: list[object] = []
    for token in scan_tokens(mask, 0, begin):
        found += _as_vector(text, mask, token, decodes=decodes)
        if token.kind is TokenKind.START:
            content = token.name if token.name in RAW_TEXT or token.name == b"plaintext" else b""
            decodes = content in _DECODES
        elif token.kind is not TokenKind.TEXT:
            decodes = True
    return _merged(found)


def _as_vector(text: str, mask: bytes, token: Token, *, decodes: bool) -> list[object]:
    piece = text[token.start : token.end]
    match token.kind:
        case TokenKind.TEXT:
            return [["Character", decode_text(piece) if decodes else piece]]
        case TokenKind.START:
            attributes = {
                _name(a.name): decode_attribute(text[a.start : a.end])
                for a in read_attributes(mask, token)
            }
            return [["StartTag", _name(token.name), attributes]]
        case TokenKind.END:
            return [["EndTag", _name(token.name)]]
        case TokenKind.COMMENT | TokenKind.DOCTYPE:
            return [[token.kind.value]]
        case _:
            return _of_unfinished(piece)


def _of_unfinished(piece: str) -> list[object]:
    """What a tokenizer emits for `</>`, and where the input ends within markup."""
    if piece == "</":
        return [["Character", piece]]
    if piece == "</>" or (piece[1] not in "!?" and not re.match(r"</[^A-Za-z]", piece)):
        return []
    return [["doctype"] if piece[2:9].lower() == "doctype" else ["comment"]]


def _name(name: bytes) -> str:
    return name.decode("latin-1")


def _merged(tokens: object) -> list[object]:
    merged: list[object] = []
    assert isinstance(tokens, list)
    for token in tokens:
        kind = token[0]
        if kind == "Character" and merged and merged[-1][0] == "Character":
            merged[-1] = ["Character", merged[-1][1] + token[1]]
        elif kind == "StartTag":
            attributes = {_opaque(name): value for name, value in token[2].items()}
            merged.append(["StartTag", _opaque(token[1]), attributes])
        elif kind == "EndTag":
            merged.append(["EndTag", _opaque(token[1])])
        elif kind.lower() in ("comment", "doctype"):
            merged.append([kind.lower()])
        elif kind != "ParseError":
            merged.append(list(token))
    return merged


def _opaque(name: str) -> str:
    """In a mask every character that is not ASCII is 0x80; names are compared as far as that."""
    return "".join(char if char.isascii() else "\x80" for char in name)
