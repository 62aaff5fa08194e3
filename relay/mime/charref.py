"""Character references of HTML, decoded once and by context."""

import html
import re
from html.entities import html5

_NUMERIC_DECIMAL, _NUMERIC_HEX, _NAMED = 1, 2, 3
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
    return _REFERENCE.sub(_in_attribute, text) if "&" in text else text


def decode_text(text: str) -> str:
    """Return text with its character references decoded once, as it is shown."""
    return html.unescape(text) if "&" in text else text


def _in_attribute(match: re.Match[str]) -> str:
    if match.lastindex == _NAMED:
        return _named(match[_NAMED], match.string[match.end() : match.end() + 1])
    base = 10 if match.lastindex == _NUMERIC_DECIMAL else 16
    digits = match[match.lastindex or 0].lstrip("0")
    return _code_point(int(digits or "0", base) if len(digits) <= _LAST_CODE_POINT_DIGITS else -1)


def _named(name: str, following: str) -> str:
    # HTML Standard 13.2.5.73: the longest name of the table, then the look at what follows it.
    for length in range(min(len(name), _LONGEST_NAME), 1, -1):
        known = html5.get(name[:length])
        if known is None:
            continue
        rest = name[length:]
        after = rest[:1] or following
        if name[length - 1] != ";" and (after == "=" or (after.isascii() and after.isalnum())):
            return f"&{name}"
        return known + rest
    return f"&{name}"


def _code_point(number: int) -> str:
    # HTML Standard 13.2.5.80: null, surrogates and what is out of range; C1 is windows-1252.
    if number <= 0 or number > _LAST_CODE_POINT or 0xD800 <= number <= 0xDFFF:  # noqa: PLR2004 - the surrogates
        return _REPLACEMENT
    if 0x80 <= number <= 0x9F:  # noqa: PLR2004 - C1
        shown = bytes([number]).decode("cp1252", "ignore")
        return shown or chr(number)
    return chr(number)
