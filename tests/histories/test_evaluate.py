"""Whom the rules take for whom, in both halves of the histories."""

import pytest

from ledger.event import Agent
from tests.histories.document import PAGE, written
from tests.histories.evaluate import (
    by_rules,
    evaluate,
    noticed_scans,
    people,
    people_as_machines,
)

CLICK_TIME = "mimecast/click-time-check"
"""One hit of a browser without a fault: nothing tells it from a person."""


@pytest.mark.parametrize("half", ["seen", "unseen"])
def test_no_sweep_of_a_scanner_is_told_as_a_reader(half: str) -> None:
    told = {one.history for one in noticed_scans(evaluate(half, by_rules))}
    assert told <= {CLICK_TIME}


@pytest.mark.parametrize("half", ["seen", "unseen"])
def test_at_most_two_in_a_hundred_of_what_people_do_is_taken_for_a_machines(half: str) -> None:
    verdicts = evaluate(half, by_rules)
    assert len(people_as_machines(verdicts)) <= 0.02 * len(people(verdicts))


def test_most_of_what_people_do_is_known_for_it() -> None:
    done = people(evaluate("unseen", by_rules))
    assert sum(Agent(one.got).attentive for one in done) >= 0.85 * len(done)


def test_the_page_has_the_rules_and_the_figures_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page
