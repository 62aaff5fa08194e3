"""What a rule would have changed, against what would have been decided with it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console.rehearsal import OFF, narrowed, rehearse
from config.settings import Rule
from ledger.mode import TrackingMode
from ledger.treated import PastCopy, PastSend, Treated
from relay.limit import Limit, narrow
from relay.verdict import Because, Clicks, Treatment

BY_NAME = Treated(TrackingMode.INDIVIDUAL, opens=True, clicks="html")
ANYONE = Treated(TrackingMode.ANONYMOUS, opens=True, clicks="html")
modes, switches = st.sampled_from(TrackingMode), st.booleans()
rules = st.builds(Rule, name=st.just("tried"), mode=modes, opens=switches, clicks=switches)
limits = st.builds(
    Limit,
    st.just(Because.CEILING),
    st.just("source"),
    modes,
    switches,
    st.sampled_from(Clicks),
)


def rule(**said: Any) -> Rule:
    return Rule.model_validate({"name": "tried", **said})


def past(*copies: tuple[str, Treated], **values: Any) -> PastSend:
    usual: dict[str, Any] = {"sender": "Anna@sales.example", "account": "anna", "subject": None}
    people = tuple(PastCopy(who, how, values.pop("rules", frozenset())) for who, how in copies)
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return PastSend("01HZ", at, copies=people, **(usual | values))


def treated(treatment: Treatment) -> Treated:
    return Treated(treatment.mode, treatment.opens, treatment.clicks.value)


@given(st.lists(limits, min_size=1, max_size=4), rules)
def test_it_is_what_had_been_decided_with_the_rule_among_the_sources(
    sources: list[Limit], tried: Rule
) -> None:
    # Law: what comes of it is what had been decided with the rule among the sources.
    clicks = Clicks.BOTH if tried.clicks else Clicks.NONE
    limit = Limit(Because.RULE, tried.name, tried.mode, tried.opens, clicks)
    recorded, _ = narrow(sources)
    decided, _ = narrow([*sources, limit])
    assert narrowed(tried, treated(recorded)) == treated(decided)


@given(rules, limits)
def test_no_rule_widens_what_was_recorded(tried: Rule, source: Limit) -> None:
    # Law: no rule widens what was recorded.
    before = treated(narrow([source])[0])
    after = narrowed(tried, before)
    assert after.mode.width <= before.mode.width
    assert after.opens <= before.opens
    assert after.clicks in (before.clicks, "none")


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ({}, ["b@gov.example", "c@other.example"]),
        ({"recipient": "*@gov.example"}, ["b@gov.example"]),
        ({"recipient": "GOV.example"}, ["b@gov.example"]),
        ({"sender": "anna@SALES.example", "recipient": "c@*"}, ["c@other.example"]),
        ({"sender": "*@office.example"}, []),
        ({"account": "ANNA"}, ["b@gov.example", "c@other.example"]),
        ({"account": "bert"}, []),
    ],
)
def test_a_rule_is_tried_on_whom_it_matches(said: dict[str, str], changed: list[str]) -> None:
    send = past(("b@gov.example", BY_NAME), ("c@other.example", BY_NAME), ("d@gov.example", OFF))
    came = rehearse(rule(mode="anonymous", **said), [send])
    assert [one.recipient for one in came.listed] == changed
    assert (came.sends, came.copies, came.changed) == (1, 3, len(changed))
    assert came.counts == ({(BY_NAME, ANYONE): len(changed)} if changed else {})


def test_nobody_matches_a_key_that_is_given_and_an_address_that_is_none_matches_no_pattern() -> (
    None
):
    nobody = past(("b@gov.example", BY_NAME), sender=None, account=None)
    assert not rehearse(rule(mode="off", sender="*"), [nobody]).changed
    assert not rehearse(rule(mode="off", account="*"), [nobody]).changed
    forgotten = past(("forgotten", BY_NAME))
    assert not rehearse(rule(mode="off", recipient="*"), [forgotten]).changed
    assert rehearse(rule(mode="off"), [forgotten]).changed == 1


def test_all_are_counted_and_the_first_hundred_listed_and_what_the_rule_decided_is_told() -> None:
    people = [(f"p{number}@gov.example", BY_NAME) for number in range(150)]
    came = rehearse(rule(clicks=False), [past(*people), past(("x@gov.example", OFF))])
    assert (came.copies, came.changed, len(came.listed)) == (151, 150, 100)
    before = past(("b@gov.example", ANYONE), rules=frozenset({"tried"}))
    assert rehearse(rule(mode="off"), [before]).decided == 1
    assert rehearse(rule(mode="off"), []).copies == 0
