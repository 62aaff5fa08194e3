"""Sends by the API."""

from typing import Any

from ledger.audit import select_audit
from ledger.event import EventType


async def test_a_list_goes_page_by_page_and_nothing_new_moves_it(program: Any) -> None:
    whole = (await program.get("/messages"))["messages"]
    assert [one["subject"] for one in whole][:2] == ["Re: delivery dates", "Our offer for 2027"]
    first = await program.get("/messages", limit="2")
    console = program.console
    new = await console.send(
        [{"recipient": "x@example.org", "recipient_type": "to", "copy": 1, "mode": "off"}]
    )
    await console.record(console.event(EventType.ACCEPTED, send_id=new))
    rest = await program.pages("/messages", "messages", limit="2", cursor=first["next_cursor"])
    assert first["messages"] + rest == whole
    assert (await program.get("/messages", limit="1"))["messages"][0]["send_id"] == new


async def test_filters_narrow_and_a_send_that_is_there_is_whole(program: Any) -> None:
    for query, subjects in (
        ({"recipient": "slow@example.com"}, ["Re: delivery dates"]),
        ({"recipient": "gail@gov.example", "sender": "sales@acme.example"}, ["Annual report"]),
        ({"sender": "someone@else.example"}, []),
        ({"since": "45m"}, ["Re: delivery dates"]),
        ({"until": "28h"}, ["Annual report"]),
        ({"message_id": "<no@such>"}, []),
    ):
        found = (await program.get("/messages", **query))["messages"]
        assert [one["subject"] for one in found] == subjects, query
    (delivery,) = (await program.get("/messages", recipient="slow@example.com"))["messages"]
    assert [one["recipient"] for one in delivery["recipients"]] == [
        "nobody@example.org",
        "slow@example.com",
    ]


async def test_one_send_is_told_with_its_verdict_and_its_events_in_order(program: Any) -> None:
    told = await program.get(f"/messages/{program.send_id}")
    assert told["subject"] == "Our offer for 2027"
    assert told["tags"] == ["offers"]
    assert {one["recipient"] for one in told["recipients"]} == {
        "bob@example.org",
        "carol.fitzgerald@example.org",
        "dave@example.net",
    }
    assert told["events"][0]["type"] == "email.accepted"
    assert told["events"][-1]["type"] == "email.clicked"


async def test_who_has_looked_is_recorded_once_a_look(program: Any) -> None:
    for _ in range(2):
        await program.get(f"/messages/{program.send_id}")
    about = f"token:{program.name}"
    async with program.console.stores.ledger.read() as connection:
        (row,) = await select_audit(connection, about=about, limit=9)
    assert (row.entry.action, row.entry.subject) == ("send.viewed", program.send_id)


async def test_a_send_that_is_not_there_is_a_problem_with_its_mend(program: Any) -> None:
    for name in ("01HZZZZZZZZZZZZZZZZZZZZZZZ", "x", "%00"):
        status, told, _ = await program.ask("GET", f"/messages/{name}")
        assert status == 404
        assert "/messages" in told["detail"]
