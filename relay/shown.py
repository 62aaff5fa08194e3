"""Which parts of a message a reader is shown, and what is said of the others."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from relay.mail import Entity
from relay.mime.entity import leaves
from relay.verdict import PassReason

# RFC 2183 2.8: a disposition that is not known is an attachment.
_INLINE = ("", "inline")
_SECURED = {
    "multipart/signed": PassReason.SIGNED,
    "multipart/encrypted": PassReason.ENCRYPTED,
}


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A leaf of the message."""

    entity: Entity
    passed: PassReason | None
    """Why it is no HTML that may carry marks of ours; None where it is.

    `plain_text`: it may carry links where links in text are tracked."""
    displayed: bool = True
    """A reader who reads HTML sees it, rather than another alternative of it."""


def list_shown(entity: Entity) -> tuple[ShownPart, ...]:
    """Return the leaves of a message in order, with what each is to a reader."""
    return tuple(_walk(entity))


def _walk(entity: Entity) -> Iterator[ShownPart]:
    if not entity.children:
        yield ShownPart(entity, _why_no_html(entity))
    elif entity.media_type in _SECURED:
        yield from _left(entity, _SECURED[entity.media_type])
    elif entity.disposition not in _INLINE:
        yield from _left(entity, PassReason.ATTACHMENT)
    elif entity.media_type == "multipart/alternative":
        yield from _alternative(entity)
    elif entity.media_type == "multipart/related":
        # RFC 2387 3.2: the first is the root, unless `start` names another; the rest are what it
        # refers to.
        root, *others = entity.children
        yield from _walk(root)
        for other in others:
            yield from _left(other, PassReason.ATTACHMENT)
    else:
        for child in entity.children:
            yield from _walk(child)


def _alternative(entity: Entity) -> Iterator[ShownPart]:
    """Yield the leaves; displayed is the last that can be, for it is the best (RFC 2046 5.1.4)."""
    alternatives = [list_shown(child) for child in entity.children]
    with_html = [
        number
        for number, parts in enumerate(alternatives)
        if any(part.passed is None for part in parts)
    ]
    for number, parts in enumerate(alternatives):
        for part in parts:
            yield part if number in with_html[-1:] else replace(part, displayed=False)


def _left(entity: Entity, reason: PassReason) -> Iterator[ShownPart]:
    for leaf in leaves(entity):
        why = _why_no_html(leaf)
        yield ShownPart(leaf, reason if why in _TEXT else why, displayed=False)


def _why_no_html(entity: Entity) -> PassReason | None:
    if entity.opaque:
        return PassReason.BROKEN_STRUCTURE
    if entity.media_type.startswith("message/"):
        return PassReason.EMBEDDED_MESSAGE
    if entity.disposition not in _INLINE:
        return PassReason.ATTACHMENT
    return _BY_TYPE.get(entity.media_type, PassReason.NOT_TEXT)


_TEXT = (None, PassReason.PLAIN_TEXT)
_BY_TYPE: dict[str, PassReason | None] = {
    "text/html": None,
    "text/x-amp-html": PassReason.AMP,
    "text/plain": PassReason.PLAIN_TEXT,
}
