"""What is known of one mail, put in order."""

from datetime import UTC, datetime
from typing import Any

from collector.console.dossier import Decision, left_parts, link_lines, recipient_lines
from ledger.event import Agent, Event, EventType

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def told(number: int, kind: EventType, **values: Any) -> tuple[int, Event]:
    return number, Event(f"e{number}", kind, NOON, **values)


def test_a_recipient_has_his_mode_his_reasons_and_the_last_word_on_him(explain: Any) -> None:
    reason = {"of": "mode", "is": "shared", "because": "rule", "name": "public sector"}
    verdict = [
        explain("a@x.example", 1, mode="shared", reasons=[reason]),
        explain("b@x.example", 1, mode="shared", reasons=[]),
        explain("c@x.example", 2, clicks="none", opens=False),
    ]
    events = [
        told(3, EventType.RELAYED, recipient="a@x.example", reply="250 ok"),
        told(2, EventType.DEFERRED, recipient="a@x.example", reply="451 later"),
        told(1, EventType.ACCEPTED, recipient="b@x.example"),
    ]
    first, second, third = recipient_lines(verdict, events)
    assert first.decisions == (Decision("mode", "shared", "the rule “public sector”"),)
    assert (first.shares_with, second.shares_with, third.shares_with) == (1, 1, 0)
    assert first.state is not None
    assert first.state.reply == "250 ok"
    assert second.state is None
    assert (third.opens, third.clicks, third.recipient_type) == (False, "none", "to")


def test_a_link_is_tracked_where_it_is_so_for_anybody(explain: Any) -> None:
    link = {"link_id": "1", "part": "1.2", "url": "https://a.example/", "text": "prices"}
    off = [{**link, "tracked": False, "reason": "clicks_off"}]
    on = [{**link, "tracked": True, "reason": None}]
    for verdict in (
        [explain("a@x.example", 1, links=off), explain("b@x.example", 2, links=on)],
        [explain("a@x.example", 1, links=on), explain("b@x.example", 2, links=off)],
    ):
        (line,) = link_lines(verdict, [])
        assert line.tracked
    (line,) = link_lines([explain("a@x.example", 1, links=off)], [])
    assert not line.tracked
    assert line.why_not == "click tracking is off"


def test_clicks_of_people_are_counted_by_link_with_their_repeats(explain: Any) -> None:
    click = {"link_id": "1", "classification": Agent.HUMAN_LIKELY}
    events = [
        told(1, EventType.CLICKED, **click, repeats=2),
        told(2, EventType.CLICKED, **{**click, "classification": Agent.PROXY}),
        told(3, EventType.CLICKED, **{**click, "classification": Agent.SCANNER}),
        told(4, EventType.CLICKED, **{**click, "classification": None}),
        told(5, EventType.CLICKED, **{**click, "link_id": "2"}),
        told(6, EventType.OPENED, **click),
    ]
    tracked, left = link_lines([explain("a@x.example", 1)], events)
    assert (tracked.text, tracked.clicks) == ("our offer for 2027", 4)
    assert (left.text, left.clicks) == ("www.acme.example", 0)
    assert left.why_not == "its text is itself an address; filters call a mismatch phishing"


def test_parts_that_are_left_alone_for_everybody_are_told_with_the_reason(explain: Any) -> None:
    part = {"part": "1.2", "media_type": "text/html"}
    off = {**part, "tracked": False, "reason": "mode_off"}
    on = {**part, "tracked": True, "reason": None}
    text = {"part": "1.1", "media_type": "text/plain", "tracked": False, "reason": "plain_text"}
    verdict = [
        explain("a@x.example", 1, parts=[text, off]),
        explain("b@x.example", 2, parts=[text, on]),
    ]
    (line,) = left_parts(verdict)
    assert (line.part, line.media_type, line.why_not) == ("1.1", "text/plain", "it is plain text")
    assert len(left_parts([explain("a@x.example", 1, parts=[text, off])])) == 2


def test_a_verdict_that_says_little_is_shown_all_the_same() -> None:
    bare = {
        "recipient": "a@x.example",
        "recipient_type": "bcc",
        "mode": "off",
        "opens": False,
        "clicks": "none",
    }
    (line,) = recipient_lines([bare], [])
    assert line.decisions == ()
    assert line.shares_with == 0
    assert link_lines([bare], []) == ()
    assert left_parts([bare]) == ()
