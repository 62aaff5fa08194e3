"""The queue by the API."""

from typing import Any

import pytest

from collector.console.api.cursor import write_cursor
from ledger.acts import read_acts
from ledger.audit import select_audit
from ledger.queue import list_queue


@pytest.fixture
async def queue(program: Any, put_in_queue: Any) -> dict[int, str]:
    """Three copies in the queue, by copy_id: one waits, one is held, one was put off."""
    spool = program.console.stores.spool
    return {
        5: await put_in_queue(spool, 5),
        6: await put_in_queue(spool, 6, held=True),
        7: await put_in_queue(
            spool, 7, attempts=2, reply="451 4.7.1 later", recipients=("dave@example.net",)
        ),
    }


async def left(program: Any) -> dict[int, Any]:
    async with program.console.stores.spool.read() as connection:
        return {copy.copy_id: copy for copy in await list_queue(connection, 100)}


async def audited(program: Any) -> list[tuple[str, Any, Any]]:
    async with program.console.stores.ledger.read() as connection:
        rows = await select_audit(connection, about=f"token:{program.name}", limit=9)
    return [(row.entry.action, row.entry.subject, row.entry.detail) for row in rows]


async def test_the_queue_comes_page_by_page_what_is_held_last(
    program: Any, queue: dict[int, str]
) -> None:
    whole = (await program.get("/queue"))["copies"]
    assert [one["copy_id"] for one in whole] == ["5", "7", "6"]
    assert whole == await program.pages("/queue", "copies", limit="1")
    assert whole[0]["send_id"] == queue[5]
    assert whole[2]["due_at"] is None


@pytest.mark.usefixtures("queue")
async def test_filters_narrow(program: Any) -> None:
    for query, found in (
        ({"recipient": "example.net"}, ["7"]),
        ({"sender": "ann@*"}, ["5", "7", "6"]),
        ({"sender": "<>"}, []),
        ({"reply": "later"}, ["7"]),
        ({"waiting": "held"}, ["6"]),
        ({"older": "1h"}, []),
        ({"upstream": "default"}, []),
    ):
        told = await program.get("/queue", **query)
        assert [one["copy_id"] for one in told["copies"]] == found, query


async def test_copies_are_acted_on_by_name_and_the_audit_log_says_by_whom(
    program: Any, queue: dict[int, str]
) -> None:
    body = {"action": "hold", "copy_ids": ["6", "5", "404"]}
    status, told, _ = await program.ask("POST", "/queue", body)
    assert status == 200
    assert [(one["copy_id"], one["result"]) for one in told["results"]] == [
        ("6", "as_it_was"),
        ("5", "done"),
        ("404", "gone"),
    ]
    assert (await left(program))[5].held
    expected = ("queue.held", queue[5], {"copies": 1, "messages": 1})
    assert await audited(program) == [expected]
    async with program.console.stores.spool.read() as connection:
        (act,) = await read_acts(connection, 9)
    assert (act.actor, act.copy_id) == (f"token:{program.name}", 5)


@pytest.mark.usefixtures("queue")
async def test_the_same_again_changes_nothing(program: Any) -> None:
    for action, results in (
        ("hold", ["done", "as_it_was"]),
        ("release", ["done", "as_it_was"]),
        ("retry", ["done", "done"]),
        ("drop", ["done", "gone"]),
    ):
        for result in results:
            body = {"action": action, "copy_ids": ["5"]}
            _, told, _ = await program.ask("POST", "/queue", body)
            assert told["results"] == [{"copy_id": "5", "result": result}], action
    assert set(await left(program)) == {6, 7}


@pytest.mark.usefixtures("queue")
async def test_names_that_no_copy_has_act_on_none(program: Any) -> None:
    body = {"action": "drop", "copy_ids": ["9999999999999999999", "0", "404"]}
    status, told, _ = await program.ask("POST", "/queue", body)
    assert status == 200
    assert {one["result"] for one in told["results"]} == {"gone"}
    assert set(await left(program)) == {5, 6, 7}
    assert await audited(program) == []


@pytest.mark.usefixtures("queue")
async def test_without_names_nothing_is_done(program: Any) -> None:
    for body in (
        {"action": "drop"},
        {"action": "drop", "copy_ids": []},
        {"action": "eat", "copy_ids": ["5"]},
        {"action": "drop", "copy_ids": ["5"], "whole": True},
    ):
        assert (await program.ask("POST", "/queue", body))[0] == 400
    assert set(await left(program)) == {5, 6, 7}


@pytest.mark.parametrize(
    "place", ["", "x", "0-1-99999999999999999999", "2-1-1", "0-9" + "9" * 17 + "-1"]
)
async def test_a_place_that_is_none_is_refused(program: Any, place: str) -> None:
    status, _, _ = await program.ask(
        "GET", "/queue", params={"cursor": write_cursor("queue", place)}
    )
    assert status == 400
