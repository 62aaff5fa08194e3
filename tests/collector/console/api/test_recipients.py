"""One recipient by the API: the same as his page."""

from typing import Any

from ledger.audit import pseudonym, select_audit


async def test_it_tells_what_the_page_tells(program: Any) -> None:
    told = await program.get("/recipients/Bob@Example.org")
    assert told["recipient"] == "Bob@example.org"
    assert told["sends"] == 1
    assert told["opened"]["times"] == 3
    assert told["clicked"]["times"] == 1
    assert [one["state"] for one in told["messages"]] == ["email.relayed"]
    carol = await program.get("/recipients/carol.fitzgerald@example.org")
    assert carol["consent"] == "denied"


async def test_what_he_was_sent_comes_page_by_page(program: Any) -> None:
    console = program.console
    verdict = [{"recipient": "zoe@example.org", "recipient_type": "to", "copy": 1, "mode": "off"}]
    sent = [await console.send(verdict) for _ in range(5)]
    found = await program.pages("/recipients/zoe@example.org", "messages", limit="2")
    assert [one["send_id"] for one in found] == sent[::-1]


async def test_nobody_is_known_of_whom_nothing_is(program: Any) -> None:
    told = await program.get("/recipients/nobody.ever@example.org")
    assert (told["sends"], told["messages"], told["consent"]) == (0, [], "unknown")


async def test_what_is_no_address_is_not_there(program: Any) -> None:
    for name in ("bob", "bob%40", "a@b@c", "%F0%9F%90%87"):
        status, told, _ = await program.ask("GET", f"/recipients/{name}")
        assert status == 404, name
        assert "name@example.com" in told["detail"]


async def test_who_has_looked_is_recorded_without_an_address(program: Any) -> None:
    await program.get("/recipients/bob@example.org")
    async with program.console.stores.ledger.read() as connection:
        (row,) = await select_audit(connection, about=f"token:{program.name}", limit=9)
    assert row.entry.action == "recipient.viewed"
    assert row.entry.subject != "bob@example.org"
    assert len(row.entry.subject or "") == len(pseudonym(b"k", "x"))
