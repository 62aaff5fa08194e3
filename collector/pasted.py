"""Finds our links in what somebody pasted from a mail.

A link, a piece of HTML, or either wrapped by a security product or an image proxy: SafeLinks,
urldefense versions 2 and 3, Google's image proxy, and whatever carries a URL in a URL.
Nothing is checked here; who has the keys tries one candidate after the other.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from collector.target import Leaf

MAX_PASTED = 20_000
"""Characters that are looked at: an `<a …>` with a long link, and some mail around it."""

_MAX_DEPTH = 4
"""Wrappers around wrappers: a mail that passed two gateways has two."""

_MAX_TEXTS = 200
"""Readings of one pasted text; real ones have fewer than ten."""

_MARK = re.compile(
    r"/(?P<kind>[ocw])/(?P<token>[A-Za-z0-9_-]{36})(?![A-Za-z0-9_-])(?P<tail>/[^\s\"'<>]*)?"
)
_TAIL_END = re.compile(r"[.,;:!?)\]}*]+\Z")
"""What a sentence puts after a link."""

_DEFENSE_2 = re.compile(r"[?&]u=([^&\s\"'<>]+)")
_DEFENSE_3 = re.compile(r"/v3/__(.+?)__;([A-Za-z0-9_-]*)")
_PARAMETER = re.compile(r"[?&;][\w.-]+=([^&\s\"'<>]+)")
_HEX_2 = re.compile(r"-([0-9A-Fa-f]{2})")


def find_links(pasted: str) -> Iterator[Leaf]:
    """Yield the links of ours that may be meant, the likelier first, each once."""
    seen: set[Leaf] = set()
    for text in _readings(pasted[:MAX_PASTED]):
        for match in _MARK.finditer(text):
            for leaf in _leaves(match["kind"], match["token"], match["tail"]):
                if leaf not in seen:
                    seen.add(leaf)
                    yield leaf


def _leaves(kind: str, token: str, tail: str | None) -> Iterator[Leaf]:
    said = token.encode()
    if tail is None or kind == "o":
        yield Leaf(said)
        return
    # The fragment is the browser's own and no part of what is signed.
    destination = tail[1:].partition("#")[0]
    yield Leaf(said, destination.encode())
    if (bare := _TAIL_END.sub("", destination)) != destination:
        yield Leaf(said, bare.encode())


def _readings(pasted: str) -> Iterator[str]:
    """Yield the text as it is, and with one wrapper after the other taken off."""
    texts, seen = [pasted], {pasted}
    for _ in range(_MAX_DEPTH):
        fresh: list[str] = []
        for text in texts:
            yield text
            for inner in _unwrapped(text):
                if inner not in seen and len(seen) < _MAX_TEXTS:
                    seen.add(inner)
                    fresh.append(inner)
        texts = fresh
    yield from texts


def _unwrapped(text: str) -> Iterator[str]:
    yield html.unescape(text)
    yield re.sub(r"=\r?\n", "", text)  # RFC 2045 6.7 (5): the source of a quoted-printable part
    yield re.sub(r"\s+", "", text)  # a link that was broken into lines
    for match in _DEFENSE_3.finditer(text):
        yield _defense_3(match[1], match[2])
    for match in _DEFENSE_2.finditer(text):
        yield _HEX_2.sub(lambda code: chr(int(code[1], 16)), match[1].replace("_", "/"))
    for match in _PARAMETER.finditer(text):
        yield _decoded(match[1])
    yield _decoded(text)
    if "=3D" in text:
        yield text.replace("=3D", "=")


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _defense_3(url: str, replaced: str) -> str:
    """Put back the characters for which a `*` stands, in their order (urldefense version 3)."""
    try:
        raw = base64.urlsafe_b64decode(replaced + "=" * (-len(replaced) % 4))
    except (ValueError, binascii.Error):
        return url
    characters = iter(raw.decode("utf-8", "replace"))
    return re.sub(r"\*", lambda star: next(characters, star[0]), url)
