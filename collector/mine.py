"""OWN: a browser of one's own, marked so that its hits are nobody's opens.

The console gives a signed link to this host, which serves a quarter of an hour; the page there sets
a cookie on this host.  Nobody else's browser is ever given one.
Law: only what was signed for the purpose, and has not ended, counts.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

from collector.answer import NOT_FOUND, PAGE_NOT_ALLOWED, Answer, answer_html
from collector.request import Request, asked_by_us
from ledger.keys import KeyRing
from ledger.token import TokenKey

LINK_LASTS = timedelta(minutes=15)
"""Long enough to open it in each browser of a desk."""

MARK_LASTS = timedelta(days=400)
"""The longest that browsers keep a cookie (RFC 6265bis 5.6.1)."""

COOKIE = "indicia_own"

_TAG_BYTES = 15
_FORM = re.compile(rb"[A-Za-z0-9_-]{28}")
_SHOWING = ("GET", "HEAD", "OPTIONS")


class Purpose(Enum):
    """What a code is for; each has its own domain of tags (at most 16 bytes)."""

    LINK = b"indicia own link"
    MARK = b"indicia own mark"


def write_code(key: TokenKey, purpose: Purpose, until: datetime) -> str:
    """Return 28 characters that serve a purpose until an instant, and name nobody."""
    signed = bytes((key.key_id,)) + int(until.timestamp()).to_bytes(5, "big")
    return urlsafe_b64encode(signed + _tag(key, purpose, signed)).decode()


def is_good(keys: Mapping[int, TokenKey], purpose: Purpose, code: bytes, now: datetime) -> bool:
    """Tell whether a code was signed for a purpose and has not ended."""
    if _FORM.fullmatch(code) is None:
        return False
    raw = urlsafe_b64decode(code)
    signed, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
    key = keys.get(signed[0])
    if key is None or not hmac.compare_digest(_tag(key, purpose, signed), tag):
        return False
    return now.timestamp() < int.from_bytes(signed[1:], "big")


def is_marked(keys: Mapping[int, TokenKey], cookies: str, now: datetime) -> bool:
    """Tell whether a Cookie field holds a good mark."""
    return any(
        is_good(keys, Purpose.MARK, value.encode("utf-8", "surrogateescape"), now)
        for name, _, value in (one.strip().partition("=") for one in cookies.split(";"))
        if name == COOKIE
    )


class OwnPage:
    """The page that marks a browser, and takes the mark away."""

    def __init__(self, keys: KeyRing, *, secure: bool) -> None:
        """Take the keys, and whether browsers come by https."""
        self._keys = keys.keys
        self._current = keys.current
        self._secure = secure

    def answer(self, request: Request, code: bytes, now: datetime) -> Answer:
        """Return the page; only what its button posts changes anything."""
        if request.method not in (*_SHOWING, "POST"):
            return PAGE_NOT_ALLOWED
        posted = request.method == "POST"
        if not is_good(self._keys, Purpose.LINK, code, now) or (
            posted and not asked_by_us(request)
        ):
            return NOT_FOUND
        marked = is_marked(self._keys, request.headers.get("cookie", ""), now)
        if not posted:
            return _page(marked=marked)
        mark = "" if marked else write_code(self._current, Purpose.MARK, now + MARK_LASTS)
        lasts_s = 0 if marked else int(MARK_LASTS.total_seconds())
        return _page(marked=not marked, cookie=self._cookie(mark, lasts_s))

    def _cookie(self, value: str, lasts_s: int) -> str:
        # Images in webmail are another site's: only None is sent with them, and only by https.
        way = "; Secure; SameSite=None" if self._secure else "; SameSite=Lax"
        return f"{COOKIE}={value}; Path=/; Max-Age={lasts_s}; HttpOnly{way}"


def _page(*, marked: bool, cookie: str | None = None) -> Answer:
    told = (
        "This browser is marked as your own: what it opens and follows is labelled as your own, "
        "and nobody is told of it as a recipient's."
        if marked
        else "This browser is not marked: what it opens and follows counts as a recipient's."
    )
    act = "Take the mark away" if marked else "Mark this browser as my own"
    button = f'<form method="post"><button type="submit">{act}</button></form>'
    return answer_html("Your own browser", told, button, cookie=cookie)


def _tag(key: TokenKey, purpose: Purpose, signed: bytes) -> bytes:
    keyed = hashlib.blake2b(key=key.secret, digest_size=_TAG_BYTES, person=purpose.value)
    keyed.update(signed)
    return keyed.digest()
