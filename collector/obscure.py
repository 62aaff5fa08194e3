"""OBSCURE: what is left of a hit of which it may not be told whose it is.

Law: of an obscured label nobody learns more than whether a person or a program seems to have
acted: what names a provider names those recipients who are there.
"""

import hashlib

from collector.hit import Classification
from collector.kept import Judged, day_of
from collector.sweeps import ALTERED
from ledger.days import DayEvent
from ledger.event import Agent, EventType
from ledger.story import RecordedHit
from ledger.token import HitKind

WITHHELD = "gpc"

SURENESS = 0.5
"""Of every obscured label: how sure it was would tell the rule, and that the provider."""

TYPES = {HitKind.OPEN: EventType.OPENED, HitKind.CLICK: EventType.CLICKED}


def obscure(classification: Classification) -> Classification:
    """Return a label that says person, program or neither."""
    agent = classification.agent
    if agent.attentive:
        coarse = Agent.HUMAN_LIKELY
    else:
        coarse = Agent.SCANNER if agent.machine else Agent.UNKNOWN
    return Classification(coarse, SURENESS, (), classification.rules_version)


def keeps_send(kept: Judged, relayed: int, least_recipients: int) -> bool:
    """Tell whether the send of a hit may be kept: enough people have got the copy by then."""
    return not kept.withheld and relayed >= least_recipients


def day_event(hit: RecordedHit, kept: Judged, sender: str | None) -> DayEvent:
    """Return all that is kept of a hit that keeps no send."""
    label = kept.classification
    return DayEvent(
        event_id=_event_id(hit.hit_id),
        day=day_of(hit.at),
        type=TYPES[hit.kind],
        sender=sender,
        classification=label.agent,
        confidence=label.confidence,
        reasons=label.reasons + (ALTERED,) * kept.altered + (WITHHELD,) * kept.withheld,
        rules_version=label.rules_version,
    )


def _event_id(hit_id: str) -> str:
    """Return a name that is the same for the same hit, which may be loaded twice.

    80 bits of the hit's own name are random and kept nowhere: nobody finds it from this one.
    """
    return hashlib.blake2b(hit_id.encode(), digest_size=13, person=b"day event").hexdigest()
