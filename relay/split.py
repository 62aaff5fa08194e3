"""One accepted message as copies, by distinct treatment.

Each individually tracked recipient has a copy of his own, all others of the same treatment share
one (docs/decisions/0002-split-by-treatment.md).  Where the template tracks nothing for a
treatment, its recipients get the original in the copy of all who are `off`.
"""

from collections.abc import Iterator

from ledger.mode import TrackingMode
from relay.mail import Copy, Recipient
from relay.template import Template
from relay.verdict import Accept, Treatment

# What makes recipients alike: mode and layout, and for an individual his number in the envelope.
_Likeness = tuple[TrackingMode, int | None, int | None]


def split_copies(
    send_id: str, accept: Accept, template: Template, key_id: int, copy_ids: Iterator[int]
) -> tuple[Copy, ...]:
    """Return the copies, in the order in which the envelope first names one of their recipients.

    One number is drawn from `copy_ids` for each copy.

    Law: recipients in = recipients out, each once, whatever the treatments and the template.
    Law: of two recipients of one copy neither is tracked individually.
    """
    alike: dict[_Likeness, list[Recipient]] = {}
    for number, verdict in enumerate(accept.treatments):
        recipient = Recipient(verdict.recipient, verdict.recipient_type)
        alike.setdefault(_likeness(verdict.treatment, template, number), []).append(recipient)
    return tuple(
        Copy(next(copy_ids), send_id, mode, layout, key_id, tuple(recipients))
        for (mode, layout, _), recipients in alike.items()
    )


def _likeness(treatment: Treatment, template: Template, number: int) -> _Likeness:
    layout = _layout_for(treatment, template)
    if layout is None:
        return TrackingMode.OFF, None, None
    individual = treatment.mode is TrackingMode.INDIVIDUAL
    return treatment.mode, layout, number if individual else None


def _layout_for(treatment: Treatment, template: Template) -> int | None:
    if template.passed is not None or not treatment.tracks or treatment.mode is TrackingMode.OFF:
        return None
    wanted = (treatment.opens, treatment.clicks)
    for index, layout in enumerate(template.layouts):
        if (layout.opens, layout.clicks) == wanted:
            return index
    return None
