import inspect
import re
from datetime import UTC, datetime
from itertools import product

import pytest

from collector import rules as rules_
from collector import sweeps
from collector.console.signs import tell_reason, tell_reasons
from collector.reasons import REASON_WORDS, SIGNS_OF_PEOPLE, SIGNS_OF_PROGRAMS
from ledger.event import Agent, Event, EventType
from ledger.ident import new_ident

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def opened(agent: Agent | None, *reasons: str) -> Event:
    return Event(new_ident(1, 1), EventType.OPENED, NOW, classification=agent, reasons=reasons)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (opened(Agent.HUMAN_LIKELY), []),
        (opened(Agent.HUMAN_LIKELY, "language", "browser_agent"), ["Because", "and"]),
        (
            opened(Agent.HUMAN_LIKELY, "early", "language", "browser_agent", "mx_gateway"),
            ["Because", "and", "Although", "and"],
        ),
        (
            opened(Agent.SCANNER, "headless_browser", "language", "early"),
            ["Because", "and", "Although"],
        ),
        (opened(Agent.UNKNOWN, "early"), ["Although"]),
        (opened(None, "from_next_year"), ["Because"]),
    ],
)
def test_what_speaks_for_the_label_comes_first(event: Event, words: list[str]) -> None:
    assert [word for word, _ in tell_reasons(event)] == words


def test_law_each_reason_is_told_once() -> None:
    """Law: each reason is told once."""
    for agent, code in product([*Agent, None], REASON_WORDS):
        told = [text for _, text in tell_reasons(opened(agent, code, "own_network"))]
        assert sorted(told) == sorted([REASON_WORDS[code], REASON_WORDS["own_network"]])


def test_a_code_has_its_words_and_one_of_another_version_is_shown_as_it_is() -> None:
    assert {tell_reason(code) for code in REASON_WORDS} == set(REASON_WORDS.values())
    assert tell_reason("from_next_year") == "from next year"


def test_what_speaks_for_whom_is_one_of_the_codes_and_no_code_speaks_for_both() -> None:
    assert REASON_WORDS.keys() >= SIGNS_OF_PEOPLE | SIGNS_OF_PROGRAMS
    assert not SIGNS_OF_PEOPLE & SIGNS_OF_PROGRAMS
    rules = "".join(inspect.getsource(one) for one in (rules_, sweeps))
    for agent, signs in (("HUMAN_LIKELY", SIGNS_OF_PEOPLE), ("SCANNER", SIGNS_OF_PROGRAMS)):
        weighed = set(re.findall(rf'Evidence\(\s*"(\w+)", Agent\.{agent}\b', rules))
        assert weighed
        assert weighed <= signs
