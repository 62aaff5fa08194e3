"""What our URLs say: which copy, which slot, and that we made them.

A token is 27 bytes, always 36 characters of `[A-Za-z0-9_-]`.  No personal data is in it and no
database is needed to read it (docs/decisions/0003-tokens.md):

    key id 8 bits | copy id 64 | slot 12 | flags 4 | tag 128

The tag is keyed BLAKE2b over what stands before it, for a click over the destination too, with
the kind as personalisation (RFC 7693; `person` is at most 16 bytes).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

TOKEN_CHARACTERS = 36
MAX_KEY_ID = 255
MAX_SLOT = 4095
MAX_COPY_ID = (1 << 63) - 1
MIN_SECRET_BYTES = 32

_HEAD_BYTES = 11
_TAG_BYTES = 16
# Python's decoder takes `+/` and ignores junk, so the alphabet is checked here.
_SHAPE = re.compile(rb"[A-Za-z0-9_-]{36}")
_HTTPS, _HTML, _ANONYMOUS = 1, 2, 4


class HitKind(StrEnum):
    """What a URL of ours is for."""

    OPEN = "open"
    CLICK = "click"


class Token(NamedTuple):
    """What a genuine token says.

    A tuple, for a message is stamped with hundreds.
    """

    kind: HitKind
    key_id: int
    """0 to 255: the signing key."""
    copy_id: int
    """0 to 2**63 - 1."""
    slot: int
    """Number of the pixel or link within its message, 0 to 4095."""
    https: bool = False
    """The scheme of the destination; of a click only."""
    html: bool = True
    """The link stands in text/html, else in text/plain."""
    anonymous: bool = False
    """The copy is for people who may not be told apart: keep no client data."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A signing key: its number and its secret of 32 bytes or more (at most 64)."""

    key_id: int
    secret: bytes = field(repr=False)
    _open: "hashlib.blake2b" = field(init=False, repr=False, compare=False)
    _click: "hashlib.blake2b" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the keyed states, which are copied for each token."""
        if not 0 <= self.key_id <= MAX_KEY_ID or len(self.secret) < MIN_SECRET_BYTES:
            msg = f"key {self.key_id} needs a number up to {MAX_KEY_ID}, {MIN_SECRET_BYTES} bytes"
            raise ValueError(msg)
        for kind, name in ((HitKind.OPEN, "_open"), (HitKind.CLICK, "_click")):
            state = hashlib.blake2b(
                key=self.secret, digest_size=_TAG_BYTES, person=b"indicia " + kind.encode()
            )
            object.__setattr__(self, name, state)

    @property
    def states(self) -> tuple["hashlib.blake2b", "hashlib.blake2b"]:
        """The keyed states of opens and clicks, to be copied, never updated."""
        return self._open, self._click

    def tag(self, kind: HitKind, signed: bytes) -> bytes:
        """Return the 16-byte tag over `signed`."""
        state = (self._open if kind is HitKind.OPEN else self._click).copy()
        state.update(signed)
        return state.digest()


def write_token(key: TokenKey, token: Token, destination: bytes = b"") -> bytes:
    """Return the 36 characters for a token whose `key_id` is the key's.

    `destination` is what stands after the token in a click's URL, without its fragment.
    Raises ValueError where a number does not fit its bits.
    """
    if not (0 <= token.slot <= MAX_SLOT and 0 <= token.copy_id <= MAX_COPY_ID):
        msg = f"slot {token.slot} or copy {token.copy_id} does not fit a token"
        raise ValueError(msg)
    number = token.key_id << 80 | token.copy_id << 16 | token.slot << 4 | _flags(token)
    head = number.to_bytes(_HEAD_BYTES, "big")
    return base64.urlsafe_b64encode(head + key.tag(token.kind, head + destination))


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """The tokens of one message as far as they do not depend on the copy; see plan_tokens."""

    entries: tuple[tuple[bool, bytes, bytes], ...]
    """For each: whether a click, slot and flags, and these with the destination."""


def plan_tokens(tokens: Iterable[Token], destinations: Iterable[bytes]) -> TokenPlan:
    """Return what write_tokens needs of tokens, whose `key_id` and `copy_id` are not looked at."""
    entries: list[tuple[bool, bytes, bytes]] = []
    for token, destination in zip(tokens, destinations, strict=True):
        kind, _, _, slot, https, html, anonymous = token
        number = slot << 4 | _HTTPS * https | _HTML * html | _ANONYMOUS * anonymous
        ending = number.to_bytes(2, "big")
        entries.append((kind is HitKind.CLICK, ending, ending + destination))
    return TokenPlan(tuple(entries))


def write_tokens(key: TokenKey, copy_id: int, plan: TokenPlan) -> bytes:
    """Return the tokens of a plan for one copy, 36 characters each, without anything between.

    Law: they are what write_token returns for each. A third of its time for sixty of them, since a
    copy's tokens share their beginning and one call encodes them all.
    """
    begin = (key.key_id << 64 | copy_id).to_bytes(9, "big")
    opens, clicks = (state.copy() for state in key.states)
    opens.update(begin)
    clicks.update(begin)
    pieces: list[bytes] = []
    for click, ending, signed in plan.entries:
        state = clicks.copy() if click else opens.copy()
        state.update(signed)
        pieces += (begin, ending, state.digest())
    return base64.urlsafe_b64encode(b"".join(pieces))


def read_token(
    keys: Mapping[int, TokenKey], kind: HitKind, text: bytes, destination: bytes = b""
) -> Token | None:
    """Return what a token says, or None where it is not ours or not for this destination.

    Law: only what write_token returned for the same kind, key and destination is read.
    """
    if _SHAPE.fullmatch(text) is None:
        return None
    raw = base64.urlsafe_b64decode(text)
    head, tag = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
    key = keys.get(head[0])
    if key is None or not hmac.compare_digest(key.tag(kind, head + destination), tag):
        return None
    number = int.from_bytes(head, "big")
    flags = number & 15
    return Token(
        kind=kind,
        key_id=head[0],
        copy_id=number >> 16 & (1 << 64) - 1,
        slot=number >> 4 & MAX_SLOT,
        https=bool(flags & _HTTPS),
        html=bool(flags & _HTML),
        anonymous=bool(flags & _ANONYMOUS),
    )


def _flags(token: Token) -> int:
    return _HTTPS * token.https | _HTML * token.html | _ANONYMOUS * token.anonymous


def claimed_slot(text: bytes) -> tuple[int, int] | None:
    """Return the copy and slot that a token claims, unchecked; None where it has no token's form.

    It serves to find the stored destination of a link that was altered on its way: only
    read_token with that destination tells whether the claim is true.
    """
    if _SHAPE.fullmatch(text) is None:
        return None
    number = int.from_bytes(base64.urlsafe_b64decode(text)[:_HEAD_BYTES], "big")
    return number >> 16 & (1 << 64) - 1, number >> 4 & MAX_SLOT


def claims_https(text: bytes) -> bool:
    """Tell which scheme 36 characters say their destination has; whether they are ours is open.

    Where our own links come back in a reply they are unwrapped without a look at any key.
    """
    return bool(base64.urlsafe_b64decode(text)[_HEAD_BYTES - 1] & _HTTPS)
