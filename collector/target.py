"""What a request asks for, read from its raw target.

The target is never decoded: a click's destination is compared with its tag byte by byte.
"""

import re
from dataclasses import dataclass
from enum import Enum

from ledger.token import HitKind

_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_OPEN, _OPEN_END, _CLICK = b"/o/", b".gif", b"/c/"
_OWN, _CONFIRM = b"/w/", b"/w/confirm/"
_MINE = b"/mine/"


class Page(Enum):
    """A page that is no hit."""

    NOTICE = b"/"
    HEALTH = b"/healthz"
    ROBOTS = b"/robots.txt"
    NOT_FOUND = b""


@dataclass(frozen=True, slots=True)
class Asked:
    """A pixel or link is asked for; nothing of it is checked yet."""

    kind: HitKind
    token: bytes
    destination: bytes = b""
    """Of a click: all that follows the token, query included, fragment not."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The recipient's own page of one mail is asked for, by a link of it; nothing is checked."""

    token: bytes
    destination: bytes | None = None
    """None: there was nothing after the token, as of a pixel."""

    def readings(self) -> tuple[Asked, ...]:
        """Return which links of the mail may be meant, the likelier first."""
        click = Asked(HitKind.CLICK, self.token, self.destination or b"")
        if self.destination is None:
            return Asked(HitKind.OPEN, self.token), click
        return (click,)

    @property
    def target(self) -> str:
        """The target that asks for it; of what was pasted, it may hold what is no URL."""
        tail = b"" if self.destination is None else b"/" + self.destination
        return (_OWN + self.token + tail).decode("latin-1")


@dataclass(frozen=True, slots=True)
class Confirm:
    """The page that a mail of ours leads to."""

    code: bytes


@dataclass(frozen=True, slots=True)
class Mine:
    """The page that marks a browser as one's own."""

    code: bytes


def read_target(raw: str) -> Asked | Leaf | Confirm | Mine | Page:
    """Return what the target of a request line asks for, as aiohttp's `raw_path` gives it."""
    target = raw.encode("utf-8", "surrogateescape")
    # RFC 9112 3.2.2: the absolute form must be taken too
    if absolute := _AUTHORITY.match(target):
        target = target[absolute.end() :]
    # RFC 9112 3.2 has no fragment in a target; some programs send it all the same
    target = target.partition(b"#")[0]
    if target.startswith(_CLICK):
        token, _, destination = target[len(_CLICK) :].partition(b"/")
        return Asked(HitKind.CLICK, token, destination)
    path = target.partition(b"?")[0]
    if path.startswith(_OPEN):
        return Asked(HitKind.OPEN, path[len(_OPEN) :].removesuffix(_OPEN_END))
    if path.startswith(_CONFIRM):
        return Confirm(path[len(_CONFIRM) :])
    if path.startswith(_MINE):
        return Mine(path[len(_MINE) :])
    if path.startswith(_OWN):
        return _read_leaf(target[len(_OWN) :])
    return _PAGES.get(path, Page.NOT_FOUND)


def _read_leaf(said: bytes) -> Leaf:
    token, slash, destination = said.partition(b"/")
    return Leaf(token, destination) if slash else Leaf(token.partition(b"?")[0])


def spellings(destination: bytes) -> tuple[bytes, ...]:
    """Return how a destination may have been signed: as it came, first.

    Chromium (156) asks for `%7C` where the URL Standard leaves a bar in a path: no alteration.
    """
    path, mark, query = destination.partition(b"?")
    if b"%7C" not in path:
        return (destination,)
    return destination, path.replace(b"%7C", b"|") + mark + query


_PAGES = {page.value: page for page in Page if page.value}
