"""Each rule of many hits by its own table: a scene, and how much it weighs there (None: silent)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import sweeps
from collector.hit import Evidence, Nearby, Scene, Trace
from collector.rules import RULES
from collector.sweeps import ALTERED, ALTERED_TOKEN, LOOKED_FIRST
from ledger.event import Agent
from ledger.token import HitKind

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"


def hit(slot: int = 0, after_s: float = 0, kind: HitKind = HitKind.CLICK, **more: Any) -> Trace:
    given = {"agent": BROWSER, "headers": {"accept": "present"}, "network": "n"} | more
    return Trace(AT + timedelta(seconds=after_s), kind, slot, **given)


def view(after_s: float = 0, **more: Any) -> Trace:
    return hit(0, after_s, HitKind.OPEN, **more)


def beside(copy_id: int, after_s: float = 0, network: str = "n") -> Nearby:
    return Nearby(copy_id, AT + timedelta(seconds=after_s), network)


def scene(one: Trace, *others: Trace, **more: Any) -> Scene:
    return Scene(one, others, **more)


TABLES: dict[str, list[tuple[Scene, float | None]]] = {
    "sweep": [
        (scene(hit(0), hit(1, 1), hit(2, 2)), 0.9),
        (scene(hit(0), *(hit(n, n / 2) for n in range(1, 5))), 0.95),
        (scene(hit(0), hit(1, 3), hit(2, 9)), 0.8),  # as quick as a person may be
        (scene(hit(0), hit(1, 3), hit(2, 10.1)), None),
        (scene(hit(0), hit(0, 1), hit(1, 2)), None),  # two links
        (scene(view(), hit(1), hit(2), hit(3)), None),
        (scene(hit(0), hit(1, 1, network="m"), hit(2, 2, network="o")), 0.9),
        (scene(hit(0), hit(1, 1, network="m"), hit(2, 2, network="o"), readers=2), None),
    ],
    "swept_view": [
        (scene(view(), hit(0, 1), hit(1, 2), hit(2, 3)), 0.85),
        (scene(view(), hit(0, 1), hit(1, 2)), None),
        (scene(view(agent=GMAIL), hit(0, 1), hit(1, 2), hit(2, 3)), None),
        (scene(view(network="m"), hit(0, 1), hit(1, 2), hit(2, 3)), None),
        (scene(hit(3), hit(0, 1), hit(1, 2), hit(2, 3)), None),
    ],
    "two_at_once": [
        (scene(hit(0), hit(1, 1)), 0.75),
        (scene(hit(0), hit(1, 1.1)), None),
        (scene(hit(0), hit(0, 0.5)), None),
        (scene(hit(0), view(0.5)), None),
        (scene(view(), hit(0), hit(1)), None),
        (scene(hit(0), hit(1, 0, agent="x", headers={})), None),  # not by the same hand
    ],
    "leaves_and_more": [
        (scene(hit(0, leaves=True), hit(1, 4)), 0.85),
        (scene(hit(0), hit(1, -30, leaves=True)), 0.5),
        (scene(hit(0), hit(1, 61, leaves=True)), None),
        (scene(hit(0, leaves=True), hit(1, 4, leaves=True)), None),
        (scene(hit(0, leaves=True), view(4)), None),
        (scene(view(leaves=True), hit(1, 4)), None),
    ],
    "many_places": [
        (scene(view(), view(1, network="m"), view(2, network="o")), 0.6),
        (scene(view(), *(view(n, network=str(n)) for n in range(4))), 0.85),
        (scene(view(), view(1, network="m"), view(121, network="o")), None),
        (scene(view(), view(1, network="m"), view(2, network="m")), None),
        (scene(view(), view(1, network="m"), view(2, network="")), None),
        (scene(view(), view(1, network="m"), view(2, network="o", agent=GMAIL)), None),
        (scene(view(agent=GMAIL), view(1, network="m"), view(2, network="o")), None),
        (scene(view(), view(1, network="m"), view(2, network="o"), readers=2), None),
    ],
    "neighbours": [
        (scene(view(), nearby=(beside(1), beside(2))), 0.45),
        (scene(view(), nearby=tuple(beside(n) for n in range(4))), 0.6),
        (scene(view(), nearby=(beside(1), beside(1, 1))), None),
        (scene(view(), nearby=(beside(1), beside(2, 10.1))), None),
        (scene(view(), nearby=(beside(1), beside(2, 0, "m"))), None),
        (scene(view(network=""), nearby=(beside(1, 0, ""), beside(2, 0, ""))), None),
        (scene(view(agent=GMAIL), nearby=(beside(1), beside(2))), None),
    ],
    "altered_token": [
        (scene(hit(signs=(ALTERED_TOKEN,))), 0.7),
        (scene(view(signs=(ALTERED_TOKEN,))), 0.7),
        (scene(hit(signs=(LOOKED_FIRST, ALTERED))), None),
        (scene(view(signs=(ALTERED_TOKEN,), agent=GMAIL)), None),
        (scene(hit()), None),
    ],
    "altered_beside": [
        (scene(hit(), hit(0, 1, signs=(ALTERED,))), 0.7),
        (scene(hit(signs=(ALTERED,)), hit(0, -120)), 0.7),
        (scene(hit(), hit(0, 120.1, signs=(ALTERED,))), None),
        (scene(hit(), hit(1, 1, signs=(ALTERED,))), None),  # another link
        (scene(hit(signs=(ALTERED,)), hit(0, 1, signs=(ALTERED,))), None),
        (scene(hit(), hit(0, 1, signs=(ALTERED,), agent="x", headers={})), None),
        (scene(hit(), hit(0, 1, signs=(ALTERED,), network="m"), readers=2), None),
    ],
    "altered_alone": [
        (scene(hit(signs=(ALTERED,))), 0.35),
        (scene(hit(signs=(ALTERED_TOKEN,))), None),
        (scene(hit()), None),
    ],
    "looked_first": [
        (scene(hit(signs=(LOOKED_FIRST,))), 0.35),
        (scene(hit(signs=(ALTERED_TOKEN,))), None),
        (scene(view(signs=(LOOKED_FIRST,), agent=GMAIL)), None),
        (scene(hit()), None),
    ],
    "early": [
        (scene(hit(), relayed_at=AT - timedelta(seconds=60)), 0.2),
        (scene(hit(), relayed_at=AT + timedelta(seconds=1)), 0.2),  # clocks differ
        (scene(hit(), relayed_at=AT - timedelta(seconds=61)), None),
        (scene(hit()), None),
        (scene(view(agent=GMAIL), relayed_at=AT), None),
    ],
}


def test_each_rule_has_its_table() -> None:
    here = {rule.__name__ for rule in RULES if rule.__module__ == sweeps.__name__}
    assert set(TABLES) == here
    assert all({weight is None for _, weight in rows} == {True, False} for rows in TABLES.values())


@pytest.mark.parametrize(
    ("name", "looked_at", "weight"),
    [(name, *row) for name, rows in TABLES.items() for row in rows],
)
def test_a_rule_speaks_where_it_should(name: str, looked_at: Scene, weight: float | None) -> None:
    said: Evidence | None = getattr(sweeps, name)(looked_at)
    assert (said and said.weight) == weight
    if said is not None:
        assert (said.rule, said.agent) == (name, Agent.SCANNER)


KINDS = st.sampled_from(HitKind)
AGENTS = st.sampled_from([BROWSER, GMAIL, "", "curl/8", "Mozilla/5.0"])


@given(
    kind=KINDS,
    slot=st.integers(0, 4_095),
    agent=AGENTS,
    network=st.text(max_size=3),
    leaves=st.booleans(),
    readers=st.integers(1, 9),
)
def test_law_a_hit_that_stands_alone_is_no_part_of_a_sweep(
    kind: HitKind, slot: int, agent: str, network: str, *, leaves: bool, readers: int
) -> None:
    """Law: a hit that nothing stands beside is no part of a sweep."""
    alone = Scene(hit(slot, 0, kind, agent=agent, network=network, leaves=leaves), readers=readers)
    assert not sweeps.is_sweep(alone)
    spoke = {name for name in TABLES if getattr(sweeps, name)(alone) is not None}
    assert spoke == set()
