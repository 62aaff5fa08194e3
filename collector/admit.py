"""ADMIT: which hits enter the record, and with how much of them.

Law: of a withdrawn recipient's hit nothing enters, and of a copy one of whose recipients denies
nothing that tells who it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from collector.classify import classify
from collector.hit import Scene
from collector.kept import Judged, features_of, kept_of
from collector.obscure import obscure
from ledger.consent import Permit
from ledger.permits import Switch
from ledger.story import RecordedHit


@dataclass(slots=True)
class Admission:
    """What becomes of a batch; what is in neither list is kept nowhere."""

    entering: list[RecordedHit] = field(default_factory=list)
    waiting: list[RecordedHit] = field(default_factory=list)
    """Their copy is not on record, so nobody knows whose consent it takes."""


def admit_hits(
    batch: Sequence[RecordedHit], permits: Mapping[int, Permit], switch: Switch
) -> Admission:
    """Return which hits enter, in their order, and which have to wait.

    `permits` is by copy_id; a copy that is not on record is missing in it.
    """
    admission = Admission()
    for hit in batch:
        if not switch.is_on(hit.at):
            continue
        match permits.get(hit.copy_id):
            case None:
                admission.waiting.append(hit)
            case Permit.FULL:
                admission.entering.append(hit)
            case Permit.ANONYMOUS:
                admission.entering.append(_someone(hit))
            case Permit.NOTHING:
                pass
            case unexpected:
                assert_never(unexpected)
    return admission


def _someone(hit: RecordedHit) -> RecordedHit:
    """Return the hit with nothing kept of it but how it is judged by itself."""
    kept = kept_of(hit)
    if isinstance(kept, Judged):
        return hit
    judged = Judged(obscure(classify(Scene(kept.trace))), altered=kept.altered)
    return replace(hit, features=features_of(judged))
