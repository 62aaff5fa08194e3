"""Consent by the API."""

from typing import Any

from ledger.audit import select_audit


async def test_what_is_told_holds_with_its_provenance_and_who_told_it(program: Any) -> None:
    body = {"state": "granted", "method": "form", "source": "shop", "text": "May we?"}
    status, told, _ = await program.ask("PUT", "/consent/Zoe@Example.org", body)
    assert (status, told["state"]) == (200, "granted")
    (entry,) = told["history"]
    assert entry.items() >= body.items()
    assert entry["actor"] == f"token:{program.name}"
    assert told == await program.get("/consent/Zoe@Example.org")
    async with program.console.stores.ledger.read() as connection:
        (row,) = await select_audit(connection, about=f"token:{program.name}", limit=9)
    assert row.entry.action == "consent.told"
    assert row.entry.detail == {"state": "granted", "method": "form"}


async def test_the_last_telling_holds_and_none_is_rewritten(program: Any) -> None:
    for state in ("granted", "denied", "denied", "unknown"):
        await program.ask("PUT", "/consent/zoe@example.org", {"state": state})
    told = await program.get("/consent/zoe@example.org")
    assert told["state"] == "unknown"
    states = [one["state"] for one in told["history"]]
    assert states == ["unknown", "denied", "denied", "granted"]


async def test_what_is_told_of_a_domain_holds_for_its_addresses(program: Any) -> None:
    assert (await program.get("/consent/example.net"))["state"] == "denied"
    told = await program.get("/consent/dave@example.net")
    assert (told["state"], told["history"]) == ("denied", [])


async def test_all_that_holds_comes_page_by_page(program: Any) -> None:
    for name in ("b", "a", "c"):
        await program.ask("PUT", f"/consent/{name}@a.example", {"state": "granted"})
    found = await program.pages("/consent", "consents", limit="2")
    subjects = [one["subject"] for one in found]
    assert subjects == sorted(subjects)
    assert {"a@a.example", "b@a.example", "c@a.example", "example.net"} <= set(subjects)


async def test_a_name_with_a_slash_is_a_name(program: Any) -> None:
    status, told, _ = await program.ask("PUT", "/consent/a%2Fb%40example.org", {"state": "denied"})
    assert (status, told["subject"]) == (200, "a/b@example.org")


async def test_nobody_is_set_whom_nobody_can_be(program: Any) -> None:
    for name in ("x@", "-", f"~{'0' * 64}"):
        status, told, _ = await program.ask("PUT", f"/consent/{name}", {"state": "denied"})
        assert status == 404, name
        assert told["errors"][0]["where"] == "subject"
