"""STAMP: fill one Template for one Copy.

All a copy's bytes depend on the template, the copy and its key, so a retry sends the same.
"""

from binascii import b2a_base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from ledger.mode import TrackingMode
from ledger.token import (
    TOKEN_CHARACTERS,
    HitKind,
    Token,
    TokenKey,
    TokenPlan,
    plan_tokens,
    write_tokens,
)
from relay.mail import Copy
from relay.template import Link, Slot, SlotEncoding, SlotKind, Span, Template


@dataclass(frozen=True, slots=True)
class Prepared:
    """A layout made ready for many copies."""

    pieces: tuple[bytes, ...]
    """Constant, blank, constant, …; the blanks are empty."""
    plan: TokenPlan
    anonymous_plan: TokenPlan
    slots: tuple[Slot, ...]
    base64_ends: tuple[int, ...]
    """Where in the encoding of all base64 blanks together each one ends."""


def stamp_copy(template: Template, copy: Copy, key: TokenKey) -> bytes:
    """Return the copy as it goes on the wire, without the full stop that ends DATA.

    `key` is the one that `copy.key_id` names.

    Law: the same template, copy and key give the same bytes.
    """
    if copy.layout is None:
        return template.original
    return stamp_prepared(prepare_layout(template, copy.layout), copy, key)


def prepare_layout(template: Template, layout: int) -> Prepared:
    """Return the layout of that index made ready, for as many copies as there are."""
    links = {link.number: link for link in template.links}
    pieces: list[bytes] = [b""]
    slots: list[Slot] = []
    for segment in template.layouts[layout].segments:
        match segment:
            case Span(start, end):
                pieces[-1] += template.original[start:end]
            case Slot():
                slots.append(segment)
                pieces += (b"", b"")
            case _:
                pieces[-1] += segment
    destinations = [_destination(slot, links) for slot in slots]
    return Prepared(
        tuple(pieces),
        plan_tokens((_token(slot, links, anonymous=False) for slot in slots), destinations),
        plan_tokens((_token(slot, links, anonymous=True) for slot in slots), destinations),
        tuple(slots),
        tuple(accumulate(map(_base64_length, slots))),
    )


def stamp_prepared(prepared: Prepared, copy: Copy, key: TokenKey) -> bytes:
    """Return the copy, as stamp_copy does, from its layout made ready."""
    assert key.key_id == copy.key_id, "the key is the one frozen in the copy"
    anonymous = copy.mode is TrackingMode.ANONYMOUS
    plan = prepared.anonymous_plan if anonymous else prepared.plan
    tokens = write_tokens(key, copy.copy_id, plan)
    pieces = list(prepared.pieces)
    pieces[1::2] = _fill(prepared, tokens)
    return b"".join(pieces)


def refill(template: Template, layout: int, token: bytes) -> bytes:
    """Return a layout with the same token in every blank, as the self-check of compile reads it."""
    return b"".join(_filled(template, layout, token))


def _filled(template: Template, layout: int, token: bytes) -> Iterator[bytes]:
    for segment in template.layouts[layout].segments:
        match segment:
            case Span(start, end):
                yield template.original[start:end]
            case Slot():
                yield segment.fill(token)
            case _:
                yield segment


def _fill(prepared: Prepared, tokens: bytes) -> list[bytes]:
    texts = [
        tokens[start : start + TOKEN_CHARACTERS]
        for start in range(0, len(tokens), TOKEN_CHARACTERS)
    ]
    total = prepared.base64_ends[-1] if prepared.base64_ends else 0
    if not total:
        return texts
    # One call encodes the blanks of all, for each is of whole quanta.
    decoded = b"".join(
        [
            slot.lead + text + slot.tail
            for slot, text in zip(prepared.slots, texts, strict=True)
            if slot.encoding is SlotEncoding.BASE64
        ]
    )
    encoded = b2a_base64(decoded, newline=False)
    start = 0
    for number, end in enumerate(prepared.base64_ends):
        if end > start:
            texts[number] = encoded[start:end]
            start = end
    return texts


def _token(slot: Slot, links: dict[int, Link], *, anonymous: bool) -> Token:
    pixel = slot.kind is SlotKind.PIXEL
    return Token(
        kind=HitKind.OPEN if pixel else HitKind.CLICK,
        key_id=0,
        copy_id=0,
        slot=slot.number,
        https=not pixel and links[slot.number].https,
        html=slot.html,
        anonymous=anonymous,
    )


def _destination(slot: Slot, links: dict[int, Link]) -> bytes:
    return b"" if slot.kind is SlotKind.PIXEL else links[slot.number].destination


def _base64_length(slot: Slot) -> int:
    if slot.encoding is SlotEncoding.LITERAL:
        return 0
    return (len(slot.lead) + TOKEN_CHARACTERS + len(slot.tail)) // 3 * 4
