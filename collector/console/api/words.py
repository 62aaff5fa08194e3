"""Kinds of values that a request may hold, and how openapi.json names them."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, PlainValidator, StringConstraints, ValidationInfo, WithJsonSchema

from ledger.address import Address, AddressError, parse_address
from ledger.consent import Subject, is_digest, parse_subject
from ledger.event import Agent, EventType, read_event_type, read_instant
from ledger.queue import Waiting

MAX_PAGE = 500
"""As many as the log command reads at once: some 20 ms of the console's time."""
DEFAULT_PAGE = 50

_MAX_WORD = 1000
"""An address has at most 320 bytes, a Message-ID a line of 998."""
# No age that is longer counts back further than the year 1; none of five digits comes so far.
_LONG_AGE = re.compile(r"\d{6,}[smhdw]", re.ASCII)
_AGE = {"type": "string", "pattern": r"^[0-9]{1,5}[smhdw]$"}


def _at(text: object, info: ValidationInfo) -> datetime:
    word = str(text)
    if _LONG_AGE.fullmatch(word.strip()):
        msg = f"{word!r} is longer ago than all mail; write at most five digits"
        raise ValueError(msg)
    return read_instant(word, (info.context or {})["now"])


def _address(text: object) -> Address:
    try:
        return parse_address(str(text))
    except AddressError as error:
        msg = f"{error}; write name@example.com"
        raise ValueError(msg) from None


def _sender(text: object) -> Address | None:
    return None if text in ("", "<>") else _address(text)


def _subject(text: object) -> Subject:
    if is_digest(str(text)):
        msg = "who is forgotten has no address here; ask for the address itself"
        raise ValueError(msg)
    try:
        return parse_subject(str(text))
    except AddressError:
        msg = f"{text!r} is no mail address and no domain; write name@example.com or example.com"
        raise ValueError(msg) from None


def _listed(words: object) -> list[str]:
    return [str(one) for one in words] if isinstance(words, list | tuple) else [str(words)]


def _types(words: object) -> frozenset[EventType]:
    return frozenset(map(read_event_type, _listed(words)))


def _set_of(words: object, kind: type[Agent] | type[Waiting]) -> frozenset[Any]:
    try:
        return frozenset(map(kind, _listed(words)))
    except ValueError:
        msg = f"write one of {', '.join(kind)}"
        raise ValueError(msg) from None


def _many(of: Iterable[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": {"type": "string", "enum": list(of)}})


_EVENT_TYPES = (*EventType, *(one.rpartition(".")[2] for one in EventType))

Instant = Annotated[
    datetime | None,
    PlainValidator(_at),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date-time"}, _AGE],
            "examples": ["2d", "2026-11-23T12:00:00Z"],
        }
    ),
]
# JSON Schema 2020-12, validation 7.3.2: idn-email is a mailbox of RFC 6531, which this grammar is.
_MAILBOX = {"type": "string", "format": "idn-email", "examples": ["bob@example.org"]}
Mailbox = Annotated[Address, PlainValidator(_address), WithJsonSchema(_MAILBOX)]
MaybeMailbox = Annotated[Address | None, PlainValidator(_address), WithJsonSchema(_MAILBOX)]
Sender = Annotated[
    Address | None,
    PlainValidator(_sender),
    WithJsonSchema({"anyOf": [_MAILBOX, {"type": "string", "enum": ["", "<>"]}]}),
]
Whose = Annotated[
    Subject,
    PlainValidator(_subject),
    WithJsonSchema({"anyOf": [_MAILBOX, {"type": "string", "format": "idn-hostname"}]}),
]
Types = Annotated[frozenset[EventType], PlainValidator(_types), _many(_EVENT_TYPES)]
Labels = Annotated[
    frozenset[Agent], PlainValidator(lambda words: _set_of(words, Agent)), _many(Agent)
]
Reasons = Annotated[
    frozenset[Waiting], PlainValidator(lambda words: _set_of(words, Waiting)), _many(Waiting)
]
# PostgreSQL keeps no NUL in a text.
_NO_NUL = r"^[^\x00]*$"
Word = Annotated[str, StringConstraints(max_length=_MAX_WORD, pattern=_NO_NUL)]
Cursor = Annotated[str, WithJsonSchema({"type": "string", "format": "cursor"})]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


def text_of(most: int) -> StringConstraints:
    """Return what holds for a text of at most so many characters."""
    return StringConstraints(max_length=most, pattern=_NO_NUL)
