"""What a recipient asks for on his page, and how it is sealed.

Address and words are closed on disk until the record takes them; a link in our mail carries them
closed as well.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ledger.keys import KeyRing
from ledger.seal import SealError, open_bytes, seal_bytes
from ledger.wishes import SpilledWish

CODE_LASTS = timedelta(days=7)
"""A mail of ours is read after a weekend, or after a week's holiday."""

MAX_CODE = 2_000
"""Characters: the longest address makes some 600."""

_PERSON_WISH = b"indicia wish"
_PERSON_CODE = b"indicia code"


class WishKind(StrEnum):
    """What is asked for."""

    WITHDRAW = "withdraw"
    """Stop tracking whom the copy was for."""
    SOMEONE = "someone"
    """The same, and several people have the copy: it holds for this copy only, for good."""
    RESTORE = "restore"
    """Send whom the copy was for the mail that undoes his withdrawals."""
    ASK = "ask"
    """Send the address the mail that stops tracking, if the copy was for it."""
    DENY = "deny"
    """Stop tracking the address, which has confirmed it."""
    UNDO = "undo"
    """Undo the withdrawals of the address, which has confirmed it."""


WITHDRAWALS = (WishKind.WITHDRAW, WishKind.SOMEONE)
"""Those that hold for a copy from the moment they are kept."""

OPEN_KINDS = tuple(kind for kind in WishKind if kind is not WishKind.SOMEONE)
"""Those that are still to be done."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that was asked for."""

    wish_id: str
    at: datetime
    kind: WishKind
    language: str
    copy_id: int | None = None
    address: str = ""
    """Of ASK as it was typed."""
    text: str = ""
    """What the person was shown."""
    up_to: int = 0
    """Of UNDO: the last change that is undone."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a link in our mail stands for."""

    kind: WishKind
    """DENY or UNDO."""
    address: str
    at: datetime
    """When the mail was written."""
    up_to: int = 0


def seal_wish(keys: KeyRing, wish: Wish, salt: bytes) -> SpilledWish:
    """Return a wish as the spill keeps it; `salt` is random, ledger.seal.SALT_BYTES long.

    Law: open_wish gives it back.
    """
    said = [wish.language, wish.address, wish.text, wish.up_to]
    plain = json.dumps(said).encode()
    return SpilledWish(
        wish_id=wish.wish_id,
        at=wish.at,
        kind=wish.kind.value,
        copy_id=wish.copy_id,
        sealed=seal_bytes(keys.current, _PERSON_WISH, plain, salt),
    )


def open_wish(keys: KeyRing, spilled: SpilledWish) -> Wish:
    """Return a wish of the spill.

    Raises SealError where its key is gone, or it was altered.
    """
    said = json.loads(open_bytes(keys.keys, _PERSON_WISH, spilled.sealed))
    language, address, text, up_to = said
    kind = WishKind(spilled.kind)
    return Wish(spilled.wish_id, spilled.at, kind, language, spilled.copy_id, address, text, up_to)


def write_code(keys: KeyRing, confirmation: Confirmation, salt: bytes) -> str:
    """Return a confirmation as it stands in a URL: `[A-Za-z0-9_-]`.

    Law: read_code gives it back, and no other text gives anything.
    """
    said = [
        confirmation.kind.value,
        confirmation.address,
        int(confirmation.at.timestamp()),
        confirmation.up_to,
    ]
    sealed = seal_bytes(keys.current, _PERSON_CODE, json.dumps(said).encode(), salt)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read_code(keys: KeyRing, code: bytes, now: datetime) -> Confirmation | None:
    """Return what a code stands for; None where it is none of ours, or its time is over."""
    if len(code) > MAX_CODE:
        return None
    try:
        sealed = base64.b64decode(code + b"=" * (-len(code) % 4), b"-_", validate=True)
        said = json.loads(open_bytes(keys.keys, _PERSON_CODE, sealed))
    except (SealError, binascii.Error):
        return None
    kind, address, seconds, up_to = said
    at = datetime.fromtimestamp(seconds, UTC)
    if now - at > CODE_LASTS:
        return None
    return Confirmation(WishKind(kind), address, at, up_to)
