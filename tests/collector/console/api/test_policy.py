"""Policy by the API."""

from typing import Any

from ledger.audit import select_audit
from ledger.policies import policy_history


async def test_what_is_in_force_is_told_from_both_sources(
    start_console: Any, make_program: Any
) -> None:
    program = await make_program()
    told = await program.get("/policy")
    assert told["tracking"] is True
    assert told["configuration"]["mode"] == "individual"
    assert [(rule["name"], rule["source"]) for rule in told["rules"]] == [
        ("public offices", "console")
    ]
    rule = {"name": "press", "recipient": "*@press.example", "mode": "off"}
    other = await start_console([rule])
    program.base = other.base
    told = await program.get("/policy")
    assert [(one["name"], one["source"], one["mode"]) for one in told["rules"]] == [
        ("press", "configuration", "off"),
        ("public offices", "console", "off"),
    ]


async def test_a_pair_is_told_with_what_decides(program: Any) -> None:
    query = {"from": "sales@acme.example", "to": "x@gov.example"}
    told = await program.get("/policy/pair", **query)
    assert told["decided"][0] == {
        "of": "mode",
        "value": "off",
        "because": "rule",
        "name": "public offices",
    }
    told = await program.get("/policy/pair", to="dave@example.net", account="ann")
    assert (told["sender"], told["account"]) == (None, "ann")
    assert told["decided"][0]["because"] == "consent"


async def test_the_switch_is_recorded_with_its_reason_and_who_used_it(program: Any) -> None:
    body = {"tracking": False, "reason": " An incident. "}
    status, told, _ = await program.ask("PUT", "/policy/tracking", body)
    assert (status, told) == (200, {"tracking": False})
    assert (await program.get("/policy"))["tracking"] is False
    async with program.console.stores.ledger.read() as connection:
        (row,) = await select_audit(connection, about=f"token:{program.name}", limit=9)
        (change,) = await policy_history(connection, 1)
    assert (row.entry.action, row.entry.detail) == ("policy.switched", {"tracking": False})
    assert (change.reason, change.actor) == ("An incident.", f"token:{program.name}")
