"""Why each recipient gets what he gets, and what becomes of each part and link.

The objects are those of `explain --json`; they are frozen with the send.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay.limit import values
from relay.mail import Copy
from relay.template import Layout, LeftLink, Link, PartNote, Slot, SlotKind, Template
from relay.verdict import (
    OFF,
    Accept,
    Because,
    IgnoredControl,
    PassReason,
    Reason,
    RecipientVerdict,
    Treatment,
)

Explained = dict[str, object]
"""One recipient as `explain --json` shows him."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What recipients of one layout have in common, and why it is no more."""

    parts: list[Explained]
    links: list[Explained]
    reason: PassReason
    """Why nothing is put in, or, where there is a layout, why no pixel is."""
    pixel: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """What a layout puts in; of none, nothing, for a reason."""

    pixel_part: str | None
    links: frozenset[tuple[int, str]]
    """Number and part."""
    why: PassReason | None = None


def explain_send(
    accept: Accept, template: Template, copies: Sequence[Copy]
) -> tuple[Explained, ...]:
    """Return an object for each recipient, in the order of the envelope.

    `mode`, `opens` and `clicks` are what comes of the policy on this content.  `copy` numbers the
    copies from 1.  `link_id` is the number of the link's slot as text, as in events, and null for
    a link that no recipient has tracked.  Recipients of one layout have the same lists of `parts`
    and `links`.  `ignored` are the controls that have no effect, each with why.

    Law: each reason says of mode, opens or clicks what the object says.
    """
    place = {
        recipient.address: (number, copy.layout)
        for number, copy in enumerate(copies, 1)
        for recipient in copy.recipients
    }
    ignored = [_ignored_object(control) for control in accept.ignored]
    contents: dict[tuple[int | None, bool], _Content] = {}
    explained: list[Explained] = []
    for verdict in accept.treatments:
        number, layout = place[verdict.recipient]
        likeness = (layout, verdict.treatment.tracks)
        if likeness not in contents:
            contents[likeness] = _explain_content(template, layout, verdict.treatment)
        content = contents[likeness]
        treatment, reasons = _come_of(verdict, layout, content)
        explained.append(
            {
                "recipient": str(verdict.recipient),
                "recipient_type": verdict.recipient_type.value,
                "mode": treatment.mode.value,
                "opens": treatment.opens,
                "clicks": treatment.clicks.value,
                "copy": number,
                "reasons": [_reason_object(reason, treatment) for reason in reasons],
                "parts": content.parts,
                "links": content.links,
                "ignored": ignored,
            }
        )
    return tuple(explained)


def _come_of(
    verdict: RecipientVerdict, layout: int | None, content: _Content
) -> tuple[Treatment, tuple[Reason, ...]]:
    """Return what is left of a treatment on this content, and the reasons."""
    treatment = verdict.treatment
    if layout is None and treatment.tracks:
        return OFF, _for_content(OFF, content.reason, ("mode", "opens", "clicks"))
    if layout is not None and treatment.opens and not content.pixel:
        treatment = replace(treatment, opens=False)
        kept = tuple(reason for reason in verdict.reasons if reason.of != "opens")
        return treatment, (*kept, *_for_content(treatment, content.reason, ("opens",)))
    return treatment, verdict.reasons


def _for_content(
    treatment: Treatment, reason: PassReason, concerned: Sequence[str]
) -> tuple[Reason, ...]:
    said = values(treatment)
    return tuple(Reason(of, said[of], Because.CONTENT, reason.value) for of in concerned)


def _explain_content(template: Template, layout: int | None, treatment: Treatment) -> _Content:
    if layout is not None:
        found = _find_slots(template, template.layouts[layout])
        reason = _why_no_pixel(template)
    else:
        reason = _why_nothing(template) if treatment.tracks else PassReason.MODE_OFF
        found = _Found(None, frozenset(), reason)
    linked = {part for _, part in found.links}
    has_links = {link.part for link in template.links}
    parts = [
        _part_object(
            note,
            found,
            tracked=note.part in linked or note.part == found.pixel_part,
            has_links=note.part in has_links,
        )
        for note in template.parts
    ]
    links = [_link_object(link, found) for link in template.links]
    left = [_left_object(link) for link in template.left]
    return _Content(parts, [*links, *left], reason, pixel=found.pixel_part is not None)


def _find_slots(template: Template, layout: Layout) -> _Found:
    slots = [segment for segment in layout.segments if isinstance(segment, Slot)]
    pixel = any(slot.kind is SlotKind.PIXEL for slot in slots)
    html = [note for note in template.parts if note.media_type == "text/html"]
    # The pixel stands in the last HTML part that is shown.
    carrying = [note.part for note in html if note.reason is None]
    html_parts = {note.part for note in html}
    places = {(slot.number, slot.html) for slot in slots if slot.kind is SlotKind.LINK}
    return _Found(
        pixel_part=(carrying[-1] if carrying else "") if pixel else None,
        links=frozenset(
            (link.number, link.part)
            for link in template.links
            if (link.number, link.part in html_parts) in places
        ),
    )


def _why_nothing(template: Template) -> PassReason:
    return template.passed.reason if template.passed else PassReason.NOTHING_TO_TRACK


def _why_no_pixel(template: Template) -> PassReason:
    reasons = {note.reason.reason for note in template.parts if note.reason}
    placeless = PassReason.NO_PLACE_FOR_PIXEL
    return placeless if placeless in reasons else PassReason.NO_HTML


def _part_object(note: PartNote, found: _Found, *, tracked: bool, has_links: bool) -> Explained:
    reason: PassReason | None = None
    if note.reason is not None:
        reason = note.reason.reason
    elif not tracked:
        reason = found.why or (PassReason.CLICKS_OFF if has_links else PassReason.OPENS_OFF)
    return {
        "part": note.part,
        "media_type": note.media_type,
        "tracked": reason is None,
        "reason": reason.value if reason else None,
    }


def _link_object(link: Link, found: _Found) -> Explained:
    tracked = (link.number, link.part) in found.links
    reason = None if tracked else (found.why or PassReason.CLICKS_OFF).value
    return {
        "link_id": str(link.number),
        "part": link.part,
        "url": link.url,
        "text": link.text,
        "tracked": tracked,
        "reason": reason,
    }


def _left_object(link: LeftLink) -> Explained:
    return {
        "link_id": None,
        "part": link.part,
        "url": link.url,
        "text": link.text,
        "tracked": False,
        "reason": link.reason.reason.value,
    }


def _reason_object(reason: Reason, treatment: Treatment) -> Explained:
    said: str | bool = treatment.opens if reason.of == "opens" else reason.value
    return {"of": reason.of, "is": said, "because": reason.because.value, "name": reason.name}


def _ignored_object(control: IgnoredControl) -> Explained:
    return {"field": control.field_name, "value": control.value, "why": control.why}
