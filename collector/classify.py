"""Weighs the evidence of all rules.

Law: no single weak evidence decides.
Law: the order of the evidence does not matter.
"""

from collections.abc import Iterable
from itertools import groupby
from math import prod

from collector.hit import Classification, Evidence, Scene
from collector.rules import RULES, RULES_VERSION
from ledger.event import Agent

DECISIVE = 0.5
"""What a label must reach: one evidence of at least this weight, or weak ones together."""


def classify(scene: Scene) -> Classification:
    """Return what kind of agent made the hit, by all rules."""
    found = (rule(scene) for rule in RULES)
    return weigh_evidence(evidence for evidence in found if evidence is not None)


def weigh_evidence(evidence: Iterable[Evidence]) -> Classification:
    """Return the label with the most support.

    Evidence for one label adds up as independent chances do; what speaks for the strongest rival
    lowers the confidence by up to a half.
    """
    ordered = sorted(evidence, key=lambda one: (one.agent, -one.weight, one.rule))
    supports = {
        agent: 1 - prod(1 - one.weight for one in group)
        for agent, group in groupby(ordered, key=lambda one: one.agent)
    }
    best = max(supports, key=lambda agent: supports[agent], default=Agent.UNKNOWN)
    support = supports.pop(best, 0.0)
    rival = max(supports.values(), default=0.0)
    decided = support >= DECISIVE
    return Classification(
        agent=best if decided else Agent.UNKNOWN,
        confidence=round(support * (1 - rival / 2) if decided else 1 - support, 2),
        reasons=tuple(one.rule for one in sorted(ordered, key=lambda one: (-one.weight, one.rule))),
        rules_version=RULES_VERSION,
    )
