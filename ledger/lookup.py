"""What is asked of the log: a filter as words, and read from them.

The command, the console and its exports ask with the same words.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from ledger.address import Address, AddressError, parse_address
from ledger.event import Agent, read_event_type, read_instant
from ledger.events import EventFilter
from ledger.owner import Owner

WORDS = (
    "sender",
    "recipient",
    "subject",
    "message_id",
    "url",
    "reply",
    "type",
    "classification",
    "since",
    "until",
)
"""What can be asked for, by name; `type` and `classification` more than once."""

Asked = Mapping[str, Sequence[str]]
"""Words by name; what is empty does not narrow."""

_Read = TypeVar("_Read")


class AskedError(ValueError):
    """A word that can not be read."""

    def __init__(self, name: str, told: str) -> None:
        """Say which word it is, and what is wrong with it."""
        super().__init__(told)
        self.name = name


def read_lookup(asked: Asked, now: datetime, owner: Owner | None = None) -> EventFilter:
    """Return the filter that some words say; with an owner, of his own mail alone.

    Raises AskedError.
    """
    return EventFilter(
        since=_instant(asked, "since", now),
        until=_instant(asked, "until", now),
        sender=_address(asked, "sender"),
        recipient=_address(asked, "recipient"),
        message_id=_text(asked, "message_id"),
        subject=_text(asked, "subject"),
        url=_text(asked, "url"),
        reply=_text(asked, "reply"),
        owner=owner,
        types=frozenset(_several(asked, "type", read_event_type)),
        classifications=frozenset(_several(asked, "classification", read_agent)),
    )


def read_agent(text: str) -> Agent:
    """Return the classification that a word names.  Raises ValueError."""
    try:
        return Agent(text)
    except ValueError:
        known = ", ".join(Agent)
        msg = f"{text!r} is no classification; write one of {known}"
        raise ValueError(msg) from None


def _texts(asked: Asked, name: str) -> Iterator[str]:
    return (text for said in asked.get(name, ()) if (text := said.strip()))


def _text(asked: Asked, name: str) -> str | None:
    return next(_texts(asked, name), None)


def _several(asked: Asked, name: str, read: Callable[[str], _Read]) -> Iterator[_Read]:
    for text in _texts(asked, name):
        try:
            yield read(text)
        except ValueError as error:
            raise AskedError(name, str(error)) from None


def _instant(asked: Asked, name: str, now: datetime) -> datetime | None:
    return next(_several(asked, name, lambda text: read_instant(text, now)), None)


def _address(asked: Asked, name: str) -> Address | None:
    text = _text(asked, name)
    try:
        return None if text is None else parse_address(text)
    except AddressError as error:
        raise AskedError(name, str(error)) from None
