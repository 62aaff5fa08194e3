from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from collector.classify import DECISIVE, classify, weigh_evidence
from collector.hit import Evidence, Scene, Trace
from collector.rules import RULES_VERSION
from ledger.event import Agent
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
evidence = st.builds(
    Evidence,
    rule=st.sampled_from(["a", "b", "c", "d"]),
    agent=st.sampled_from([agent for agent in Agent if agent is not Agent.UNKNOWN]),
    weight=st.floats(0, 0.99),
)


@given(evidence.filter(lambda one: one.weight < DECISIVE))
def test_law_no_single_weak_evidence_decides(weak: Evidence) -> None:
    """Law: no single weak evidence decides."""
    assert weigh_evidence([weak]).agent is Agent.UNKNOWN


@given(st.lists(evidence, max_size=6), st.randoms())
def test_law_the_order_of_the_evidence_does_not_matter(found: list[Evidence], dice: object) -> None:
    """Law: the order of the evidence does not matter."""
    shuffled = list(found)
    dice.shuffle(shuffled)  # type: ignore[attr-defined] # random.Random
    assert weigh_evidence(shuffled) == weigh_evidence(found)


@given(st.lists(evidence, max_size=6))
def test_confidence_is_a_number_from_0_to_1_and_every_rule_is_named(
    found: Sequence[Evidence],
) -> None:
    judged = weigh_evidence(found)
    assert 0 <= judged.confidence <= 1
    assert sorted(judged.reasons) == sorted(one.rule for one in found)
    assert judged.rules_version == RULES_VERSION


def test_two_weak_signs_decide_together_and_a_rival_lowers_confidence() -> None:
    weak = [Evidence("a", Agent.SCANNER, 0.35), Evidence("b", Agent.SCANNER, 0.3)]
    assert weigh_evidence(weak).agent is Agent.SCANNER
    rival = [*weak, Evidence("c", Agent.HUMAN_LIKELY, 0.4)]
    assert weigh_evidence(rival).agent is Agent.SCANNER
    assert weigh_evidence(rival).confidence < weigh_evidence(weak).confidence


def test_nothing_known_is_unknown_and_surely_so() -> None:
    judged = weigh_evidence([])
    assert (judged.agent, judged.confidence, judged.reasons) == (Agent.UNKNOWN, 1, ())


def test_all_rules_are_asked_and_the_weightiest_reason_comes_first() -> None:
    hit = Trace(
        AT, HitKind.OPEN, 0, "GoogleImageProxy", {"accept-language": "present"}, "n", ("google",)
    )
    judged = classify(Scene(hit))
    assert judged.agent is Agent.PROXY
    assert judged.reasons == ("gmail_image_proxy", "gmail_network", "language")
