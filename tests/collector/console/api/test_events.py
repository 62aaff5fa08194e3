"""Events by the API, and how many there are."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ledger.event import Agent, Event, EventType


async def test_both_orders_have_all_events_and_agree(program: Any, event_keys: Any) -> None:
    newest = await program.pages("/events", "events", limit="5")
    assert len(newest) > 15
    assert len({one["event_id"] for one in newest}) == len(newest)
    told = await program.get("/events", order="oldest", limit="500")
    assert told["events"][::-1] == newest
    assert all(event_keys <= set(one) for one in newest)


async def test_newest_first_nothing_new_moves_the_pages(program: Any) -> None:
    whole = (await program.get("/events"))["events"]
    first = await program.get("/events", limit="3")
    await program.console.record(program.console.event(EventType.OPENED))
    rest = await program.pages("/events", "events", limit="50", cursor=first["next_cursor"])
    assert first["events"] + rest == whole


async def test_oldest_first_what_comes_later_follows_the_cursor(program: Any) -> None:
    told = await program.get("/events", order="oldest", limit="500")
    again = await program.get("/events", order="oldest", cursor=told["next_cursor"])
    assert (again["events"], again["next_cursor"]) == ([], told["next_cursor"])
    event = program.console.event(EventType.OPENED)
    await program.console.record(event)
    new = await program.get("/events", order="oldest", cursor=again["next_cursor"])
    assert [one["event_id"] for one in new["events"]] == [event.event_id]
    assert new["next_cursor"] != told["next_cursor"]


async def test_a_cursor_of_the_other_order_is_refused(program: Any) -> None:
    told = await program.get("/events", limit="1")
    status, problem, _ = await program.ask(
        "GET", "/events", params={"order": "oldest", "cursor": told["next_cursor"]}
    )
    assert status == 400
    assert problem["errors"][0]["where"] == "cursor"


async def test_filters_narrow(program: Any) -> None:
    for query in (
        [("type", "opened"), ("classification", "human_likely"), ("classification", "proxy")],
        [("type", "email.opened"), ("recipient", "bob@example.org")],
        [("send_id", program.send_id), ("type", "clicked")],
    ):
        status, told, _ = await program.ask("GET", "/events", params=query)
        assert status == 200
        assert told["events"], query
        for one in told["events"]:
            asked = dict(query)
            assert one["type"].endswith(asked["type"].removeprefix("email."))
            assert one["send_id"] == asked.get("send_id", one["send_id"])
            assert one["recipient"] == asked.get("recipient", one["recipient"])
            if "classification" in asked:
                assert one["classification"] in ("human_likely", "proxy")
    assert (await program.get("/events", message_id="<no@such>"))["events"] == []


async def test_a_relabelling_is_told_where_it_is_asked_for(program: Any) -> None:
    console = program.console
    seen = console.event(EventType.OPENED, classification=Agent.SCANNER)
    relabelled = Event(
        "relabelling-1",
        EventType.RECLASSIFIED,
        datetime.now(UTC),
        relabels=seen.event_id,
        label_before=Agent.PROXY,
        classification=Agent.SCANNER,
    )
    await console.record(seen, relabelled)
    plain = (await program.get("/events", limit="1"))["events"]
    assert [one["type"] for one in plain] == ["email.opened"]
    (told,) = (await program.get("/events", limit="1", history="true"))["events"]
    assert (told["event_id"], told["from"], told["to"]) == (seen.event_id, "proxy", "scanner")
    asked = (await program.get("/events", type="reclassified"))["events"]
    assert asked == [told]


async def test_counts_are_by_day_and_type_with_their_share_of_machines(program: Any) -> None:
    told = await program.get("/stats")
    events = await program.pages("/events", "events")
    counted = sum(one["count"] for day in told["days"] for one in day["counts"])
    assert counted == len(events)
    opens = [one for one in events if one["type"] == "email.opened"]
    machine = sum(
        one["machine"]
        for day in told["days"]
        for one in day["counts"]
        if one["type"] == "email.opened"
    )
    assert machine == sum(one["machine"] for one in opens) > 0
    assert [day["day"] for day in told["days"]] == sorted({one["timestamp"][:10] for one in events})


async def test_counts_can_be_of_some_days_and_of_one_sender(program: Any) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert (await program.get("/stats", since=tomorrow))["days"] == []
    assert (await program.get("/stats", until="5d"))["days"] == []
    assert (await program.get("/stats", sender="no@body.example"))["days"] == []
    assert (await program.get("/stats", since="99999w"))["days"]
    assert (await program.get("/stats", until="0001-01-01T00:00:00Z"))["days"] == []
    assert (await program.get("/stats", until="9999-12-31T23:59:59.999999Z"))["days"]
