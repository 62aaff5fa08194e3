"""Codes in words."""

from datetime import UTC, datetime

import pytest

from collector.console import wording
from ledger.event import Agent, Attribution, Event, EventType
from ledger.ident import new_ident
from ledger.mode import TrackingMode
from ledger.role import Role
from ledger.treated import Treated
from relay.limit import SWITCHED_OFF
from relay.verdict import Because, PassReason

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def opened(**values: object) -> Event:
    return Event(new_ident(1, 1), EventType.OPENED, NOW, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("agent", "confidence", "level", "words"),
    [
        (Agent.HUMAN_LIKELY, 0.8, 3, "very likely a person"),
        (Agent.HUMAN_LIKELY, 0.79, 2, "probably a person"),
        (Agent.HUMAN_LIKELY, 0.6, 2, "probably a person"),
        (Agent.HUMAN_LIKELY, 0.59, 1, "perhaps a person"),
        (Agent.PROXY, 0.9, 3, "very likely a person, through an image proxy"),
        (Agent.PREFETCH, 0.9, 0, "very likely fetched in advance by a mail service"),
        (Agent.SCANNER, 0.7, 0, "probably a security scanner or another program"),
        (Agent.UNFURL, 0.5, 0, "perhaps a link preview in a chat"),
        (Agent.SELF, 0.99, 0, "very likely someone in your own network"),
        (Agent.UNKNOWN, 0.9, 0, "can not tell who or what this was"),
        (None, None, 0, "can not tell who or what this was"),
        (Agent.HUMAN_LIKELY, None, 1, "perhaps a person"),
    ],
)
def test_how_sure_it_is_is_told_in_words(
    agent: Agent | None, confidence: float | None, level: int, words: str
) -> None:
    sureness = wording.tell_sureness(opened(classification=agent, confidence=confidence))
    assert (sureness.level, sureness.words) == (level, words)


def test_only_what_may_be_a_person_has_a_mark() -> None:
    for agent in Agent:
        level = wording.tell_sureness(opened(classification=agent, confidence=1.0)).level
        assert (level > 0) is agent.attentive


def test_who_it_was_is_never_told_closer_than_is_known() -> None:
    bob = "bob@example.org"
    assert wording.tell_who(opened(recipient=bob, attribution=Attribution.RECIPIENT)) == bob
    shared = opened(attribution=Attribution.SHARED, candidates=("a@x.example", bob))
    assert wording.tell_who(shared) == f"Someone of a@x.example, {bob}"
    assert wording.tell_who(opened(attribution=Attribution.ANONYMOUS)) == "Someone"
    assert wording.tell_who(opened()) == "Someone"


def test_every_code_has_its_words() -> None:
    for reason in PassReason:
        assert wording.tell_passed(reason) != reason.replace("_", " "), reason
    for because in Because:
        assert " {}" not in wording.tell_because(because, "x")
        assert not wording.tell_because(because, "x").startswith(because + " "), because
    for mode in TrackingMode:
        assert wording.tell_mode(mode).endswith(".")
    for kind in EventType:
        assert wording.tell_done(kind)
    for agent in Agent:
        assert wording.tell_label(opened(classification=agent))


def test_a_code_of_another_version_is_shown_as_it_is() -> None:
    assert wording.tell_passed("from_next_year") == "from next year"
    assert wording.tell_because("moon", "phase") == "moon phase"
    assert wording.tell_mode("wider") == "wider"
    assert wording.tell_mode_name("wider") == "wider"
    assert wording.tell_kind("resent") == "resent"
    assert wording.tell_label(opened()) == "something that can not be told"


def test_a_decided_value_is_told_in_words() -> None:
    assert wording.tell_value("mode", "off") == "not tracked"
    assert wording.tell_value("opens", "false") == "no"
    assert wording.tell_value("clicks", "html") == "html"
    assert wording.tell_because("content", "signed") == wording.tell_passed("signed")
    assert wording.tell_because("ceiling", SWITCHED_OFF.name) == (
        "the switch that turns tracking off for everybody"
    )
    assert wording.tell_because("rule", "public {sector}") == "the rule “public {sector}”"


def test_what_is_not_counted_is_told_by_whom() -> None:
    own, scanner = Agent.SELF, Agent.SCANNER
    assert wording.tell_machines(frozenset({own})) == "by your own network"
    assert wording.tell_machines(frozenset({scanner})) == "by programs"
    assert wording.tell_machines(frozenset({own, scanner})) == "by programs or your own network"
    assert wording.tell_times("opened", 1) == "opened"
    assert wording.tell_times("opened", 2) == "opened 2 times"


@pytest.mark.parametrize(
    ("action", "has_subject", "words"),
    [
        ("person.link_made", True, "made a sign-in link for"),
        ("person.link_made", False, "made a sign-in link"),
        ("person.refused", True, "tried to sign in as"),
        ("person.refused", False, "tried to sign in"),
        ("send.viewed", True, "looked at the mail"),
        ("policy.switched_off", False, "policy: switched off"),
    ],
)
def test_what_was_done_is_told_between_who_and_about_whom(
    action: str, has_subject: bool, words: str
) -> None:
    assert wording.tell_action(action, has_subject=has_subject) == words


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("operator", None, "operator"),
        ("anna@example.com", "person", "anna@example.com"),
        ("stranger", None, "Somebody"),
        ("0123456789abcdef" * 2, "recipient", "a recipient (01234567)"),
        ("0123456789abcdef" * 2, None, "somebody without an account (01234567)"),
    ],
)
def test_who_is_named_by_pseudonym_is_told_so(name: str, kind: str | None, words: str) -> None:
    assert wording.tell_party(name, kind) == words


def test_every_role_is_told_with_what_it_may_do() -> None:
    assert all(wording.tell_role(role).startswith(f"{role.value}: ") for role in Role)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"mode": "off"}, "all mail: not tracked"),
        (
            {"sender": "a.example", "recipient": "b@c.example", "mode": "shared", "opens": False},
            "from a.example to b@c.example: at most shared, no pixel",
        ),
        ({"account": "anna", "clicks": False}, "signed in as anna: no tracked links"),
        ({"mode": "individual", "opens": True}, "all mail: nothing"),
    ],
)
def test_a_rule_is_told_on_one_line(rule: dict[str, object], told: str) -> None:
    assert wording.tell_rule(rule) == told


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (Treated(TrackingMode.OFF, opens=False, clicks="none"), "not tracked instead of by name"),
        (
            Treated(TrackingMode.SHARED, opens=False, clicks="html"),
            "shared instead of by name, without a pixel",
        ),
        (Treated(TrackingMode.INDIVIDUAL, opens=True, clicks="none"), "without tracked links"),
    ],
)
def test_a_difference_is_told_by_what_it_takes_away(after: Treated, told: str) -> None:
    before = Treated(TrackingMode.INDIVIDUAL, opens=True, clicks="html")
    assert wording.tell_difference(before, after) == told


def test_who_recorded_something_is_named_where_there_is_a_name() -> None:
    names = {"0" * 32: "anna@example.com"}
    assert wording.tell_actor("0" * 32, names) == "anna@example.com"
    assert wording.tell_actor("recipient", names) == "the recipient"
    assert wording.tell_actor("1" * 32, names) == "somebody without an account (11111111)"
    assert wording.tell_actor("token:crm", names) == "token:crm"
