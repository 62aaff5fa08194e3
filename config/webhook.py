"""The table of one webhook, and the kinds of its values."""

import base64
import binascii
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from config.kinds import Kind, Switch, refuse
from config.section import Section
from ledger.event import EventType

SECRET_PREFIX = "whsec_"  # noqa: S105 - what stands before each
_LEAST_BYTES, _MOST_BYTES = 24, 64
"""Of a secret: Standard Webhooks, "Signature scheme"."""
_URL_CHARACTERS = re.compile(r"[!-~]+")


def _url(value: str) -> str:
    mend = 'write such as "https://hooks.example.com/indicia"'
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        refuse("is no URL", mend)
    if parts.scheme not in ("https", "http") or not host:
        refuse("is no https URL", mend)
    if not _URL_CHARACTERS.fullmatch(value) or "\\" in value:
        refuse("has characters that no URL has", "write them percent-encoded, the host as xn--…")
    if "@" in parts.netloc:
        refuse("has a name or password in it", "remove it; the signature tells who asks")
    if "#" in value:
        refuse("has a fragment, which is never sent", "remove it")
    return value


def _secret(value: str) -> str:
    for secret in value.split(" "):
        try:
            key = decode_secret(secret)
        except ValueError:
            refuse(f"is not {SECRET_PREFIX} and base64 behind it", _MEND)
        if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
            refuse(f"has {len(key)} bytes, not {_LEAST_BYTES} to {_MOST_BYTES}", _MEND)
    return value


_MEND = f"write {SECRET_PREFIX} and what `openssl rand -base64 32` prints"


def decode_secret(secret: str) -> bytes:
    """Return the key that a secret is.  Raises ValueError."""
    if not secret.startswith(SECRET_PREFIX):
        msg = f"it does not begin with {SECRET_PREFIX}"
        raise ValueError(msg)
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _event(value: object) -> EventType:
    known = ", ".join(f'"{one.value}"' for one in EventType)
    try:
        return EventType(str(value))
    except ValueError:
        refuse("is no type of event", f"write one of {known}")


Url = Annotated[str, AfterValidator(_url), Kind("https URL")]
Secret = Annotated[str, AfterValidator(_secret), Kind("secret")]
EventName = Annotated[EventType, BeforeValidator(_event), Kind("type of event")]


class Webhook(Section):
    """A program that is told of events, as docs/webhooks.md says."""

    url: Url
    """Where events are posted, from when the collector has started with it."""
    secret: Secret = Field(repr=False)
    """What each post is signed with (Standard Webhooks): `whsec_` and 24 to 64 bytes in base64. Two
    with a space between sign each post twice, while the receiver goes over to another."""
    events: tuple[EventName, ...] = ()
    """The types of events it is told; none: all of docs/events.md."""
    allow_private: Switch = False
    """true: the URL may be http, and lead to this machine or a private network. Set it for a
    receiver of your own there, and never for a URL that somebody else has chosen."""

    @property
    def keys(self) -> tuple[bytes, ...]:
        """What signs, the newest first."""
        return tuple(map(decode_secret, self.secret.split(" ")))

    @property
    def shown(self) -> str:
        """Scheme and host, for the rest may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
