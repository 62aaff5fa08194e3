"""Character references of HTML, decoded once and by context."""

import re
from html.entities import html5

_DECIMAL, _NAMED = 1, 3  # groups of the pattern
_REFERENCE = re.compile(r"&(?:#([0-9]+);?|#[xX]([0-9A-Fa-f]+);?|([A-Za-z][A-Za-z0-9]*;?))")
_LONGEST_NAME = max(map(len, html5))
_LAST_CODE_POINT = 0x10FFFF
_LAST_CODE_POINT_DIGITS = 7
"""1114111 and 10FFFF: more digits after leading zeros are out of range in either base."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def decode_attribute(text: str) -> str:
    """Return an attribute value with its character references decoded once.

    Unlike in text, a name without its semicolon stays when `=` or a letter or digit follows:
    `&copy=2` is no copyright sign (HTML Standard 13.2.5.73).
    """
    references = text.count("&")
    if not references:
        return text
    if references == text.count("&amp;"):  # by far the most are these
        return text.replace("&amp;", "&")
    return _REFERENCE.sub(_in_attribute, text)


def decode_text(text: str) -> str:
    """Return text with its character references decoded once, as it is shown."""
    return _REFERENCE.sub(_in_text, text) if "&" in text else text


def _in_attribute(match: re.Match[str]) -> str:
    if match.lastindex == _NAMED:
        return _named(match[_NAMED], match.string[match.end() : match.end() + 1])
    return _numeric(match)


def _in_text(match: re.Match[str]) -> str:
    return _named(match[_NAMED], None) if match.lastindex == _NAMED else _numeric(match)


def _numeric(match: re.Match[str]) -> str:
    base = 10 if match.lastindex == _DECIMAL else 16
    digits = match[match.lastindex or 0].lstrip("0")
    return _code_point(int(digits or "0", base) if len(digits) <= _LAST_CODE_POINT_DIGITS else -1)


def _named(name: str, following: str | None) -> str:
    """Return what a name stands for; `following` is the character after it in an attribute."""
    # HTML Standard 13.2.5.73: the longest name of the table counts.
    for length in range(min(len(name), _LONGEST_NAME), 1, -1):
        known = html5.get(name[:length])
        if known is None:
            continue
        rest = name[length:]
        if following is not None and name[length - 1] != ";" and _goes_on(rest[:1] or following):
            break
        return known + rest
    return f"&{name}"


def _goes_on(character: str) -> bool:
    return character == "=" or (character.isascii() and character.isalnum())


def _code_point(number: int) -> str:
    # HTML Standard 13.2.5.80: null, surrogates and what is out of range; C1 is windows-1252.
    if number <= 0 or number > _LAST_CODE_POINT or 0xD800 <= number <= 0xDFFF:  # noqa: PLR2004 - the surrogates
        return _REPLACEMENT
    if 0x80 <= number <= 0x9F:  # noqa: PLR2004 - C1
        shown = bytes([number]).decode("cp1252", "ignore")
        return shown or chr(number)
    return chr(number)
