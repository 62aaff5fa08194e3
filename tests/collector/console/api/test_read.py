"""Requests, read: what is taken and what is said of the rest."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console.api import asked
from collector.console.api.problem import ProblemError, problem_object
from collector.console.api.read import read_body, read_query, refuse_query
from collector.console.api.routes import ROUTES
from ledger.consent import Consent, Method
from ledger.event import Agent, EventType

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BOB = {"subject": "bob@example.org"}


def query(model: Any, *pairs: tuple[str, str], path: Any = None) -> Any:
    return read_query(model, path or {}, pairs, NOW)


def problem_of(error: pytest.ExceptionInfo[ProblemError]) -> tuple[int, dict[str, str]]:
    problem = error.value.problem
    return problem.status.value, {one.where: one.what for one in problem.faults}


def test_a_query_is_read_as_its_model_says() -> None:
    read = query(
        asked.EventsAsked,
        ("since", "2d"),
        ("until", "2026-11-23T12:00:00+02:00"),
        ("sender", "Ann@Sales.Example"),
        ("type", "opened"),
        ("type", "email.clicked"),
        ("classification", "proxy"),
        ("limit", "7"),
    )
    assert read.since == NOW - timedelta(days=2)
    assert read.until == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert read.sender.domain == "sales.example"
    assert read.type == {EventType.OPENED, EventType.CLICKED}
    assert read.classification == {Agent.PROXY}
    assert read.limit == 7
    assert query(asked.EventsAsked).order == "newest"


@pytest.mark.parametrize(
    ("pairs", "where", "what"),
    [
        ([("colour", "red")], "colour", "openapi.json lists"),
        ([("limit", "5"), ("limit", "6")], "limit", "given twice"),
        ([("limit", "0")], "limit", "greater than or equal to 1"),
        ([("limit", "501")], "limit", "less than or equal to 500"),
        ([("limit", "many")], "limit", "integer"),
        ([("since", "yesterday")], "since", "write 2d"),
        ([("since", "123456d")], "since", "five digits"),
        ([("since", "0001-01-01T00:00:00+14:00")], "since", "write 2d"),
        ([("sender", "ann")], "sender", "write name@example.com"),
        ([("type", "eaten")], "type", "email.opened"),
        ([("classification", "cat")], "classification", "human_likely"),
        ([("message_id", "a\0b")], "message_id", "pattern"),
        ([("order", "random")], "order", "'newest' or 'oldest'"),
    ],
)
def test_what_is_wrong_is_said_with_its_name_and_the_mend(
    pairs: list[tuple[str, str]], where: str, what: str
) -> None:
    with pytest.raises(ProblemError) as error:
        query(asked.EventsAsked, *pairs)
    status, faults = problem_of(error)
    assert status == 400
    assert list(faults) == [where]
    assert what in faults[where]
    shown = problem_object(error.value.problem)
    assert str(shown["detail"]).startswith("Nothing was done. ")
    assert shown["errors"] == [{"where": where, "what": faults[where]}]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ProblemError) as error:
        query(asked.EventsAsked, ("limit", "x"), ("since", "y"), ("z", ""))
    assert set(problem_of(error)[1]) == {"limit", "since", "z"}


def test_what_must_be_there_is_missed() -> None:
    with pytest.raises(ProblemError) as error:
        query(asked.PairAsked)
    assert problem_of(error) == (400, {"to": "is missing; write it"})


@pytest.mark.parametrize("sender", ["", "<>"])
def test_a_pair_may_have_the_null_sender(sender: str) -> None:
    pair = query(asked.PairAsked, ("from", sender), ("to", "bob@example.org"))
    assert (pair.sender, str(pair.recipient), pair.account) == (None, "bob@example.org", "")


def test_what_can_not_be_named_is_not_there() -> None:
    for subject in ("no address", "a@b@c", f"~{'0' * 64}"):
        with pytest.raises(ProblemError) as error:
            query(asked.SubjectAsked, path={"subject": subject})
        assert problem_of(error)[0] == 404


def test_what_stands_in_the_path_stands_nowhere_else() -> None:
    with pytest.raises(ProblemError) as error:
        query(asked.SubjectAsked, ("subject", "x@example.org"), path=BOB)
    assert problem_of(error)[0] == 400
    with pytest.raises(ProblemError) as error:
        body(asked.ConsentTelling, b'{"state": "denied", "subject": "x@example.org"}', BOB)
    assert problem_of(error)[0] == 400


def body(model: Any, raw: bytes, path: Any = None) -> Any:
    return read_body(model, path or {}, raw, NOW)


def test_a_body_is_read_as_its_model_says() -> None:
    read = body(asked.ConsentTelling, b'{"state": "denied", "text": "\\u00fc"}', BOB)
    assert (read.state, read.method, read.text) == (Consent.DENIED, Method.OTHER, "\xfc")
    assert read.subject.key == "bob@example.org"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"[" * 60_000, "body"),
        (b'{"state": "denied", "text": "\\ud800"}', "body"),
        (b'{"state": NaN}', "body"),
        (b"{}", "state"),
        (b'{"state": "maybe"}', "state"),
        (b'{"state": "denied", "until": 1}', "until"),
        (b'{"state": "denied", "text": 5}', "text"),
        (b'{"state": "denied", "text": "\\u0000"}', "text"),
    ],
)
def test_a_body_that_says_nothing_is_refused(raw: bytes, where: str) -> None:
    with pytest.raises(ProblemError) as error:
        body(asked.ConsentTelling, raw, BOB)
    status, faults = problem_of(error)
    assert (status, list(faults)) == (400, [where])


@pytest.mark.parametrize(
    "raw",
    [
        b'{"tracking": "yes", "reason": "x"}',
        b'{"tracking": 1, "reason": "x"}',
        b'{"tracking": false, "reason": " \\n"}',
        b'{"tracking": false}',
    ],
)
def test_the_switch_takes_true_or_false_and_a_reason(raw: bytes) -> None:
    with pytest.raises(ProblemError):
        body(asked.Switching, raw)


def test_copies_are_named_one_by_one() -> None:
    ids = ",".join(f'"{number}"' for number in range(101))
    for copy_ids in ("[]", '"5"', "[5]", '["five"]', '["-5"]', '["5\\n"]', f"[{ids}]"):
        raw = f'{{"action": "drop", "copy_ids": {copy_ids}}}'.encode()
        with pytest.raises(ProblemError):
            body(asked.QueueActing, raw)


def test_a_request_with_a_body_has_no_parameters() -> None:
    refuse_query([])
    with pytest.raises(ProblemError):
        refuse_query([("dry_run", "yes")])


NAMES = sorted(
    {name for route in ROUTES for name in route.asked.model_json_schema().get("properties", {})}
)
PAIRS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.text() | st.from_regex(r"[0-9]{1,8}[smhdw]", fullmatch=True)
    )
)


@given(st.sampled_from(ROUTES), PAIRS, st.text())
def test_no_request_makes_it_raise_anything_else(
    route: Any, pairs: Iterable[tuple[str, str]], value: str
) -> None:
    path = {
        name: value
        for name in route.asked.model_json_schema().get("properties", {})
        if f"{{{name}}}" in route.path
    }
    with suppress(ProblemError):
        read_query(route.asked, path, pairs, NOW)


@given(st.sampled_from(ROUTES), st.binary())
def test_no_body_makes_it_raise_anything_else(route: Any, raw: bytes) -> None:
    with pytest.raises(ProblemError):
        read_body(route.asked, {"subject": "x"}, raw, NOW)
