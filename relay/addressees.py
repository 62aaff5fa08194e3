"""Whom the header fields To and Cc name, read leniently.

Real mail has groups, comments, routes and encoded words (RFC 5322 3.4 and 4.4, RFC 2047) and
fields cut short.  What is no mailbox names nobody; nothing here raises.
"""

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header, make_header

from ledger.address import AddressError, parse_address

# RFC 5322 3.2: a quoted string, a domain literal, a quoted pair, a special, blanks, or others.
_LEXEME = re.compile(
    r'"(?:[^"\\]|\\.)*"?|\[[^\]]*\]?|\\.|[()<>,;:]|\s+|[^"\[\\()<>,;:\s]+|.', re.DOTALL
)
_ENCODED_WORD = re.compile(r"=\?[^?\s]{1,80}\?[bBqQ]\?[^?]*\?=")
# A thousand recipients (the default limit of a send) at 256 characters each.
_MAX_VALUE = 256_000


def named_keys(value: str) -> frozenset[str]:
    """Return the `Address.key` of each mailbox that an unfolded value of To or Cc names.

    Beyond 256,000 characters nobody is named.
    """
    return frozenset(_keys(value[:_MAX_VALUE]))


def _keys(value: str) -> Iterator[str]:
    for mailbox in _mailboxes(value):
        # Some programs encode the address with the name, against RFC 2047 5.
        readings = [mailbox] if "@" in mailbox else _mailboxes(_decoded(mailbox))
        for reading in readings:
            try:
                yield parse_address(reading).key
            except AddressError:
                continue


def _mailboxes(value: str) -> Iterator[str]:
    """Yield what stands between separators: in angle brackets where there are any, else all."""
    bare = angle = ""
    depth, inside = 0, False
    for lexeme in _LEXEME.findall(value):
        if lexeme in ("(", ")"):
            depth = max(0, depth + (1 if lexeme == "(" else -1))
        elif depth:
            continue
        elif lexeme in ("<", ">"):
            inside = lexeme == "<"
            angle = "" if inside else angle
        elif inside:
            # RFC 5322 4.4: a route `@a,@b:` stands before the address.
            angle = "" if lexeme == ":" else _joined(angle, lexeme)
        elif lexeme in (",", ";", ":"):
            yield (angle or bare).strip()
            bare = angle = ""
        else:
            bare = _joined(bare, lexeme)
    yield (angle or bare).strip()


def _joined(text: str, lexeme: str) -> str:
    """Return both together; RFC 5322 4.4 permits blanks around each dot and @."""
    if lexeme.isspace():
        return text if text.endswith((".", "@", " ")) else text + " "
    return (text.rstrip(" ") if lexeme[0] in ".@" else text) + lexeme


def _decoded(text: str) -> str:
    if not _ENCODED_WORD.search(text):
        return ""
    try:
        return str(make_header(decode_header(text)))
    except (MessageError, LookupError, ValueError):
        return ""
