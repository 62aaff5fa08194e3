"""What the control fields of each system say, as data.

Names and values are those of the vendors' documentation and of mail seen in the wild; each
dialect narrows also where its vendor lets it only widen (docs/controls.md).
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ledger.mode import TrackingMode
from relay.verdict import Clicks

_MAX_JSON = 65_536  # SendGrid takes 10 KB of X-SMTPAPI, SparkPost 64 KB of metadata


@dataclass(frozen=True, slots=True)
class Unread:
    """A value has no effect."""

    why: str
    """As the end of a sentence about it: `is empty`."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one field says: how far it narrows, and what it notes on the send."""

    mode: TrackingMode = TrackingMode.INDIVIDUAL
    opens: bool = True
    clicks: Clicks = Clicks.BOTH
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def narrows(self) -> bool:
        """Whether it leaves less than everything."""
        return replace(self, tags=(), metadata=()) != Meaning()


Reader = Callable[[str], Meaning | Unread]
"""Reads an unfolded value that is not empty."""

_NO_EFFECT = Meaning()
_UNTRACKED = Meaning(mode=TrackingMode.OFF)
_NO_OPENS = Meaning(opens=False)
_NO_CLICKS = Meaning(clicks=Clicks.NONE)
_HTML_ONLY = Meaning(clicks=Clicks.HTML)
_TEXT_ONLY = Meaning(clicks=Clicks.TEXT)

# Libraries write booleans in the spelling of their language.
_FALSE = frozenset({"no", "false", "0", "off", "f", "n"})
_TRUE = frozenset({"yes", "true", "1", "on", "t", "y"})


def _words(known: Mapping[str, Meaning]) -> Reader:
    """Return a reader of one word, without regard to case."""
    unread = Unread(f"is not one of {', '.join(known)}")
    return lambda value: known.get(value.lower(), unread)


def _switch(off: Meaning, **words: Meaning) -> Reader:
    """Return a reader of a boolean, which also takes the words given."""
    known = {**dict.fromkeys(_TRUE, _NO_EFFECT), **dict.fromkeys(_FALSE, off), **words}
    unread = Unread(f"is not one of {', '.join(['yes', 'no', *words])}")
    return lambda value: known.get(value.lower(), unread)


def _without_effect(value: str) -> Unread:  # noqa: ARG001 - a Reader
    return Unread("concerns nothing that is done here")


def _one_tag(value: str) -> Meaning:
    return Meaning(tags=(value,))


def _tag_list(value: str) -> Meaning:
    return Meaning(tags=tuple(tag for part in value.split(",") if (tag := part.strip())))


def _pairs(value: str) -> Meaning | Unread:
    """Read `k=v,k=v` (Amazon SES)."""
    pairs = [pair.partition("=") for pair in value.split(",")]
    named = tuple((key.strip(), text.strip()) for key, equals, text in pairs if equals)
    return Meaning(metadata=named) if named else Unread("is not name=value")


_MANDRILL = {
    "opens": Clicks.NONE,
    "clicks": Clicks.BOTH,
    "clicks_all": Clicks.BOTH,
    "clicks_htmlonly": Clicks.HTML,
    "clicks_textonly": Clicks.TEXT,
    "none": Clicks.NONE,
}


def _mandrill_track(value: str) -> Meaning | Unread:
    """Read an allow-list: what it does not name is off."""
    words = [word for part in value.lower().split(",") if (word := part.strip())]
    allowed = [_MANDRILL[word] for word in words if word in _MANDRILL]
    if not allowed:
        return Unread(f"names none of {', '.join(_MANDRILL)}")
    clicks = Clicks.of(
        html=any(kind.html for kind in allowed), text=any(kind.text for kind in allowed)
    )
    return Meaning(opens="opens" in words, clicks=clicks)


def _json(read: Callable[[Mapping[str, object]], Meaning]) -> Reader:
    """Return a reader of a JSON object."""

    def read_json(value: str) -> Meaning | Unread:
        try:
            said = json.loads(value) if len(value) <= _MAX_JSON else None
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            return Unread(f"is no JSON object of up to {_MAX_JSON} characters")
        return read(said)

    return read_json


def _sendgrid(said: Mapping[str, object]) -> Meaning:
    clicks, opens = (_at(said, "filters", name, "settings") for name in ("clicktrack", "opentrack"))
    html = not _is_false(clicks.get("enable"))
    return Meaning(
        opens=not _is_false(opens.get("enable")),
        clicks=Clicks.of(html=html, text=html and not _is_false(clicks.get("enable_text"))),
        tags=_texts(said.get("category")),
        metadata=_text_pairs(said.get("unique_args")),
    )


def _sparkpost(said: Mapping[str, object]) -> Meaning:
    options = _at(said, "options")
    return Meaning(
        opens=not _is_false(options.get("open_tracking")),
        clicks=Clicks.NONE if _is_false(options.get("click_tracking")) else Clicks.BOTH,
        tags=_texts(said.get("tags")),
        metadata=_text_pairs(said.get("metadata")),
    )


def _alibaba(value: str) -> Meaning | Unread:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return Unread("is no base64 of JSON")
    return _json(_alibaba_trace)(text)


def _alibaba_trace(said: Mapping[str, object]) -> Meaning:
    return Meaning(
        opens=not _is_false(said.get("OpenTrace")),
        clicks=Clicks.NONE if _is_false(said.get("LinkTrace")) else Clicks.BOTH,
        tags=_texts(said.get("TagName")),
    )


def _at(said: Mapping[str, object], *path: str) -> Mapping[str, object]:
    """Return the object at a path; an empty one where there is none."""
    for name in path:
        inner = said.get(name)
        said = inner if isinstance(inner, dict) else {}
    return said


def _is_false(said: object) -> bool:
    return said is not None and str(said).strip().lower() in _FALSE


def _texts(said: object) -> tuple[str, ...]:
    items = said if isinstance(said, list) else [said]
    return tuple(text for item in items if isinstance(item, str) and (text := item.strip()))


def _text_pairs(said: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(said, dict):
        return ()
    scalars = (str, int, float)
    return tuple((str(key), str(item)) for key, item in said.items() if isinstance(item, scalars))


READERS: Mapping[str, Reader] = {
    # our own, which are removed before forwarding
    "X-Indicia-Track": _words({mode.value: Meaning(mode=mode) for mode in TrackingMode}),
    "X-Indicia-Opens": _words({"yes": _NO_EFFECT, "no": _NO_OPENS}),
    "X-Indicia-Clicks": _words(
        {"yes": _NO_EFFECT, "no": _NO_CLICKS, "html": _HTML_ONLY, "text": _TEXT_ONLY}
    ),
    "X-Indicia-Tag": _tag_list,
    # Postal
    "X-AMP": _words({"skip": _UNTRACKED}),
    # EmailEngine
    "X-EE-Tracking-Enabled": _switch(_UNTRACKED),
    # Mailgun
    "X-Mailgun-Track": _switch(_UNTRACKED),
    "X-Mailgun-Track-Clicks": _switch(_NO_CLICKS, htmlonly=_HTML_ONLY),
    "X-Mailgun-Track-Opens": _switch(_NO_OPENS),
    "X-Mailgun-Track-Pixel-Location-Top": _without_effect,
    "X-Mailgun-Tag": _one_tag,
    "X-Mailgun-Variables": _json(lambda said: Meaning(metadata=_text_pairs(said))),
    # Postmark
    "X-PM-TrackOpens": _switch(_NO_OPENS),
    "X-PM-TrackLinks": _words(
        {
            "none": _NO_CLICKS,
            "htmlandtext": _NO_EFFECT,
            "htmlonly": _HTML_ONLY,
            "textonly": _TEXT_ONLY,
        }
    ),
    "X-PM-Tag": _one_tag,
    # Mandrill
    "X-MC-Track": _mandrill_track,
    "X-MC-TrackingDomain": _without_effect,
    "X-MC-PreserveRecipients": _without_effect,
    "X-MC-URLStripQS": _without_effect,
    "X-MC-Tags": _tag_list,
    "X-MC-ViewContentLink": _without_effect,
    # SendGrid
    "X-SMTPAPI": _json(_sendgrid),
    # SparkPost
    "X-MSYS-API": _json(_sparkpost),
    # Amazon SES
    "X-SES-CONFIGURATION-SET": _without_effect,
    "X-SES-MESSAGE-TAGS": _pairs,
    # Mailjet
    "X-Mailjet-TrackOpen": _switch(_NO_OPENS),
    "X-Mailjet-TrackClick": _switch(_NO_CLICKS),
    # SMTPeter
    "x-smtpeter-trackclicks": _switch(_NO_CLICKS),
    "x-smtpeter-trackopens": _switch(_NO_OPENS),
    "x-smtpeter-trackbounces": _without_effect,
    "x-smtpeter-preventscam": _without_effect,
    "x-smtpeter-tags": _tag_list,
    # GreenArrow
    "X-GreenArrow-MailClass": _without_effect,
    "X-GreenArrow-Click-Tracking-ID": _without_effect,
    # Alibaba DirectMail
    "X-AliDM-Trace": _alibaba,
    # Elastic Email
    "trackclicks": _switch(_NO_CLICKS),
    # Unosend
    "X-Unosend-Track-Opens": _switch(_NO_OPENS),
}
"""The reader of each field, under the name by which `explain` calls it."""

METADATA_PREFIXES = ("X-Indicia-Metadata-", "X-PM-Metadata-")
"""Fields whose name ends with the key of what they note."""
