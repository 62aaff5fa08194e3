"""What the relay tells the ledger: facts, owed in the transaction that made them true.

They travel through the spool's `owed_facts` as JSON and are recorded at most once each,
by send_id and event_id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, assert_never

from ledger.event import EventType
from ledger.mode import TrackingMode


@dataclass(frozen=True, slots=True)
class RecipientFact:
    """One recipient of an accepted copy; it makes one `email.accepted` event."""

    event_id: str
    recipient: str
    recipient_type: str


@dataclass(frozen=True, slots=True)
class CopyFact:
    """One copy of an accepted send."""

    copy_id: int
    mode: TrackingMode
    recipients: tuple[RecipientFact, ...]


class LinkFact(NamedTuple):
    """One tracked link, the stored second way to its destination."""

    slot: int
    part: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class SendAccepted:
    """A send was answered 250."""

    send_id: str
    accepted_at: datetime
    message_id: str | None
    sender: str | None
    account: str | None
    client: str
    subject: str | None
    size_bytes: int
    base_url: str
    verdict: tuple[Mapping[str, object], ...]
    """The objects of `explain --json`, one a recipient, frozen."""
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    copies: tuple[CopyFact, ...]
    links: tuple[LinkFact, ...]


@dataclass(frozen=True, slots=True)
class RecipientTold:
    """The upstream answered for one recipient, or we gave up on him."""

    event_id: str
    type: EventType
    """RELAYED, DEFERRED or FAILED; WITHDRAWN where he got the original after all."""
    at: datetime
    send_id: str
    copy_id: int
    recipient: str
    recipient_type: str
    reply: str
    upstream: str
    reasons: tuple[str, ...] = ()


Fact = SendAccepted | RecipientTold

Json = dict[str, Any]
"""A JSON object; what is in it is checked where a fact is built of it."""


def fact_object(fact: Fact) -> Json:
    """Return a fact as a JSON object.

    Law: read_fact gives the fact back.
    """
    match fact:
        case SendAccepted():
            return {
                **_plain(fact),
                "fact": "send_accepted",
                "accepted_at": _instant(fact.accepted_at),
                "verdict": pack_verdict(fact.verdict),
                "tags": list(fact.tags),
                "metadata": dict(fact.metadata),
                "copies": [_copy_object(copy) for copy in fact.copies],
                "links": [
                    {"slot": slot, "part": part, "url": url, "text": text}
                    for slot, part, url, text in fact.links
                ],
            }
        case RecipientTold():
            return {
                **_plain(fact),
                "fact": "recipient_told",
                "at": _instant(fact.at),
                "reasons": list(fact.reasons),
            }
        case _:
            assert_never(fact)


def read_fact(said: Json) -> Fact:
    """Return the fact that a JSON object of fact_object is.

    Raises KeyError, TypeError or ValueError where it is none.
    """
    values = dict(said)
    match values.pop("fact"):
        case "send_accepted":
            return SendAccepted(
                **{
                    **values,
                    "accepted_at": datetime.fromisoformat(values["accepted_at"]),
                    "verdict": unpack_verdict(values["verdict"]),
                    "tags": tuple(values["tags"]),
                    "copies": tuple(_read_copy(copy) for copy in values["copies"]),
                    "links": tuple(LinkFact(**link) for link in values["links"]),
                }
            )
        case "recipient_told":
            values["at"] = datetime.fromisoformat(values["at"])
            values["type"] = EventType(values["type"])
            values["reasons"] = tuple(values["reasons"])
            return RecipientTold(**values)
        case unknown:
            msg = f"{unknown!r} is no kind of fact"
            raise ValueError(msg)


def pack_verdict(verdict: Sequence[Mapping[str, object]]) -> Json:
    """Return a verdict with what many recipients have in common, parts and links, once.

    A thousand recipients of sixty links are alike but for a few; written out they are megabytes.

    Law: unpack_verdict gives the verdict back.
    """
    contents: list[dict[str, object]] = []
    known: dict[tuple[int, ...], int] = {}

    def pack(said: Mapping[str, object]) -> list[object]:
        content = {name: said[name] for name in _CONTENT if name in said}
        # The same list is the same content: equal lists that are not one are only packed less.
        number = known.setdefault(tuple(id(value) for value in content.values()), len(contents))
        if number == len(contents):
            contents.append(content)
        own = {name: value for name, value in said.items() if name not in _CONTENT}
        unobserved = own.get(UNOBSERVED)
        if isinstance(unobserved, Mapping):
            own[UNOBSERVED] = pack(unobserved)
        return [own, number]

    return {"recipients": [pack(said) for said in verdict], "contents": contents}


def unpack_verdict(packed: Json) -> tuple[Json, ...]:
    """Return the objects of `explain --json` that pack_verdict has packed."""
    contents = packed["contents"]

    def unpack(own: Json, number: int) -> Json:
        said = {**own, **contents[number]}
        if UNOBSERVED in said:
            said[UNOBSERVED] = unpack(*said[UNOBSERVED])
        return said

    return tuple(unpack(own, number) for own, number in packed["recipients"])


UNOBSERVED = "unobserved"
"""In a verdict under `observe`: what would have been done, as an object of the same form."""

_CONTENT = ("parts", "links", "ignored")


def _plain(word: Fact | CopyFact | RecipientFact) -> Json:
    """Return the attributes by name; asdict would copy what is in them, all the way down."""
    return {name: getattr(word, name) for name in word.__slots__}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _copy_object(copy: CopyFact) -> Json:
    return {**_plain(copy), "recipients": [_plain(one) for one in copy.recipients]}


def _read_copy(said: Json) -> CopyFact:
    recipients: Iterable[Json] = said["recipients"]
    return CopyFact(
        copy_id=said["copy_id"],
        mode=TrackingMode(said["mode"]),
        recipients=tuple(RecipientFact(**one) for one in recipients),
    )
