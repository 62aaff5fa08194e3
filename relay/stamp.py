"""STAMP: fill one Template for one Copy.

All a copy's bytes depend on the template, the copy and its key, so a retry sends the same.
"""

from binascii import b2a_base64
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
from relay.sign import Seal, Signable, make_signable, sign_copy
from relay.template import LONG_BYTES, Link, Slot, SlotEncoding, SlotKind, Span, Template

_BASE64 = SlotEncoding.BASE64


@dataclass(frozen=True, slots=True)
class Prepared:
    """A layout made ready for many copies."""

    pieces: tuple[bytes, ...]
    """Constant, blank, constant, …; the blanks are empty."""
    plan: TokenPlan
    anonymous: bool
    """For copies for people who may not be told apart, and only for those."""
    encoded: tuple[int, ...]
    """Which of the blanks are base64."""
    quanta: tuple[bytes, ...]
    """What stands around the tokens in those, decoded: constant, token, constant, …"""
    cuts: tuple[slice, ...]
    """Where each of them stands in the encoding of all together."""
    signable: Signable | None
    """What is signed, where the copies of the layout are."""


def stamp_copy(template: Template, copy: Copy, key: TokenKey, seal: Seal | None = None) -> bytes:
    """Return the copy as it goes on the wire, without the full stop that ends DATA.

    `key` is the one that `copy.key_id` names; `seal` is needed where the template says who signs.

    Law: the same template, copy, key and seal give the same bytes.
    """
    if copy.layout is None:
        return template.original
    prepared = prepare_layout(template, copy.layout, anonymous=is_anonymous(copy))
    return stamp_prepared(prepared, copy, key, seal)


def prepare_layout(template: Template, layout: int, *, anonymous: bool) -> Prepared:
    """Return the layout of that index made ready, for as many copies of the kind as there are."""
    links = {link.number: link for link in template.links}
    original = template.original
    kept = original if len(original) < LONG_BYTES else memoryview(original)
    constants: list[list[bytes | memoryview]] = [[]]
    slots: list[Slot] = []
    for segment in template.layouts[layout].segments:
        if isinstance(segment, bytes):
            constants[-1].append(segment)
        elif isinstance(segment, Span):
            start, end = segment
            constants[-1].append(kept[start:end])
        else:
            slots.append(segment)
            constants.append([])
    pieces = [b""] * (2 * len(slots) + 1)
    pieces[::2] = map(b"".join, constants)
    encoded = [number for number, slot in enumerate(slots) if slot.encoding is _BASE64]
    quanta: list[bytes] = [b""]
    for number in encoded:
        quanta[-1] += slots[number].lead
        quanta += (b"", slots[number].tail)
    ends = tuple(accumulate(_base64_length(slots[number]) for number in encoded))
    planned = [_planned(slot, links, anonymous) for slot in slots]
    return Prepared(
        tuple(pieces),
        plan_tokens(*zip(*planned, strict=True)) if planned else TokenPlan(()),
        anonymous,
        tuple(encoded),
        tuple(quanta),
        tuple(slice(start, end) for start, end in zip((0, *ends), ends, strict=False)),
        make_signable(pieces) if template.signing is not None else None,
    )


def is_anonymous(copy: Copy) -> bool:
    """Tell whether a copy is for people who may not be told apart."""
    return copy.mode is TrackingMode.ANONYMOUS


def stamp_prepared(
    prepared: Prepared, copy: Copy, key: TokenKey, seal: Seal | None = None
) -> bytes:
    """Return the copy, as stamp_copy does, from its layout made ready."""
    assert key.key_id == copy.key_id, "the key is the one frozen in the copy"
    assert (seal is None) == (prepared.signable is None), "what is to be signed is"
    assert prepared.anonymous is is_anonymous(copy), "it was made ready for copies of the kind"
    blanks = _fill(prepared, write_tokens(key, copy.copy_id, prepared.plan))
    pieces = list(prepared.pieces)
    pieces[1::2] = blanks
    if seal is not None and prepared.signable is not None:
        pieces.insert(0, sign_copy(prepared.signable, blanks, seal))
    return b"".join(pieces)


def _fill(prepared: Prepared, tokens: bytes) -> list[bytes]:
    texts = [
        tokens[start : start + TOKEN_CHARACTERS]
        for start in range(0, len(tokens), TOKEN_CHARACTERS)
    ]
    if not prepared.encoded:
        return texts
    # One call encodes the blanks of all, for each is of whole quanta.
    quanta = list(prepared.quanta)
    quanta[1::2] = [texts[number] for number in prepared.encoded]
    encoding = b2a_base64(b"".join(quanta), newline=False)
    for number, cut in zip(prepared.encoded, prepared.cuts, strict=True):
        texts[number] = encoding[cut]
    return texts


def _planned(slot: Slot, links: dict[int, Link], anonymous: bool) -> tuple[Token, bytes]:  # noqa: FBT001 - hundreds of calls
    """Return the token of a slot, but for key and copy, and its destination."""
    kind, number, _, _, _, html = slot
    if kind is SlotKind.PIXEL:
        return Token(HitKind.OPEN, 0, 0, number, False, html, anonymous), b""
    link = links[number]
    return Token(HitKind.CLICK, 0, 0, number, link.https, html, anonymous), link.destination


def _base64_length(slot: Slot) -> int:
    return (len(slot.lead) + TOKEN_CHARACTERS + len(slot.tail)) // 3 * 4
