"""What is kept of a hit beside its token: the `features` of its row.

Of a hit that may not be tied to anybody only the judgement is kept, made in memory when it came.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from collector.hit import Classification, Trace
from ledger.event import Agent
from ledger.story import RecordedHit


@dataclass(frozen=True, slots=True)
class Seen:
    """A hit that may be looked at again."""

    trace: Trace
    ip_address: str | None = None
    """Truncated as `privacy.keep_network` says."""
    altered: bool = False
    """Its destination was changed on the way; the stored link was answered."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A hit of which no client data is kept."""

    classification: Classification
    withheld: bool = False
    """The reader asked not to be told of: not even the send is kept."""
    altered: bool = False


Kept = Seen | Judged


def features_of(kept: Kept) -> Mapping[str, Any]:
    """Return the JSON object for a row.

    Law: kept_of gives back what features_of was given, with the row's time, kind and slot.
    """
    if isinstance(kept, Judged):
        return {
            "judged": asdict(kept.classification),
            "withheld": kept.withheld,
            "altered": kept.altered,
        }
    features = {
        "agent": kept.trace.agent,
        "headers": dict(kept.trace.headers),
        "network": kept.trace.network,
        "lists": list(kept.trace.lists),
        "ip_address": kept.ip_address,
        "altered": kept.altered,
    } | ({"signs": list(kept.trace.signs)} if kept.trace.signs else {})
    return with_gateway(features, kept.trace.gateway) if kept.trace.gateway else features


def with_gateway(features: Mapping[str, Any], gateway: str) -> Mapping[str, Any]:
    """Return the features of a hit, with what was known of its recipient's gateway."""
    return {**features, "gateway": gateway}


def kept_of(hit: RecordedHit) -> Kept:
    """Return what is kept of a recorded hit."""
    judged = judged_of(hit)
    if judged is not None:
        return judged
    features = hit.features
    trace = Trace(
        at=hit.at,
        kind=hit.kind,
        slot=hit.slot,
        agent=features["agent"],
        headers=features["headers"],
        network=features["network"],
        lists=tuple(features["lists"]),
        signs=tuple(features.get("signs", ())),
        gateway=features.get("gateway", ""),
    )
    return Seen(trace, features["ip_address"], features["altered"])


def judged_of(hit: RecordedHit) -> Judged | None:
    """Return what is kept of a hit that may not be tied to anybody; None: it may be."""
    features = hit.features
    judged = features.get("judged")
    if judged is None:
        return None
    classification = Classification(
        agent=Agent(judged["agent"]),
        confidence=judged["confidence"],
        reasons=tuple(judged["reasons"]),
        rules_version=judged["rules_version"],
    )
    return Judged(classification, features["withheld"], features["altered"])


def day_of(at: datetime) -> datetime:
    """Return the beginning of an instant's day: all the time that is kept of a withheld hit."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
