"""READ the head of a plain GET, the request that nearly all are.

Law: what is read here, aiohttp's parser reads alike: method, target, fields, and whether the
connection stays.
Whatever is in any way unusual is left to that parser: a body, another method, a field given twice,
a byte that a careful client does not send.  So there is nothing to be smuggled past the one or the
other, and the usual costs a tenth.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_BYTES = 8_190
"""aiohttp's limit of one line; a browser's whole head is some 1,000 bytes."""

_MAX_FIELDS = 100
"""aiohttp's limit is 128."""

# RFC 9112 3 and 5, without what it tells a careful recipient to mend: bare CR or LF, obs-fold,
# white space before the colon, the absolute form of a target. RFC 9110 5.6.2: token.
_PLAIN = re.compile(
    rb"GET (/[!-\"$-~]*) HTTP/1\.([01])\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)*)\r\n"
)

_UNUSUAL = frozenset(
    {
        "content-length",
        "expect",
        "content-encoding",
        "sec-websocket-key1",
        "transfer-encoding",
        "trailer",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a plain GET."""

    target: str
    """As on the request line, undecoded."""
    headers: Mapping[str, str]
    """By lower-case name."""
    stays: bool
    """Whether the client wants to ask more on this connection (RFC 9112 9.3)."""


def read_head(raw: bytes) -> Head | None:
    """Return what a request says that is nothing but a plain head; None where it is anything else.

    `raw` is all that has come, the empty line that ends a head included.
    """
    if len(raw) > MAX_BYTES or (plain := _PLAIN.fullmatch(raw)) is None:
        return None
    target, minor, fields = plain.groups()
    lines = fields.decode("ascii").split("\r\n")
    del lines[-1]
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if len(headers) != len(lines) or len(lines) > _MAX_FIELDS or not _UNUSUAL.isdisjoint(headers):
        return None
    if "host" not in headers:  # RFC 9112 3.2
        return None
    match headers.get("connection", "").lower(), minor:
        case (("" | "keep-alive"), b"1"):
            stays = True
        case ("close", _) | ("", b"0"):
            stays = False
        case _:
            return None
    return Head(target.decode("ascii"), headers, stays)
