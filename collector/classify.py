"""Weighs the evidence of all rules.

Law: no single weak evidence decides.
Law: the order of the evidence does not matter.
Law: where evidence of a machine would decide by itself and nearly outweighs that of a person, the
label is `unknown`: nobody is told of a reader who may be none.
"""

from collections.abc import Iterable
from itertools import groupby
from math import prod

from collector.hit import Classification, Evidence, Scene
from collector.rules import RULES, RULES_VERSION
from ledger.event import Agent

DECISIVE = 0.5
"""What a label must reach: one evidence of at least this weight, or weak ones together."""

CLEAR = 1 / 3
"""A person's label stands against a decisive machine's where its doubt is at most this part of
the other's."""


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
    machine = max((supports[agent] for agent in supports if agent.machine), default=0.0)
    unclear = best.attentive and machine >= DECISIVE and 1 - support > CLEAR * (1 - machine)
    decided = support >= DECISIVE and not unclear
    return Classification(
        agent=best if decided else Agent.UNKNOWN,
        confidence=round(_confidence(support, rival, decided=decided), 2),
        reasons=tuple(one.rule for one in sorted(ordered, key=lambda one: (-one.weight, one.rule))),
        rules_version=RULES_VERSION,
    )


def _confidence(support: float, rival: float, *, decided: bool) -> float:
    """Return how sure the label is; that nothing can be said is sure where nothing speaks."""
    if decided:
        return support * (1 - rival / 2)
    return 1 - support if support < DECISIVE else 0.5
