"""Sign-in by address and password, over real HTTP."""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from argon2 import PasswordHasher

from collector.console import door as door_module
from collector.console.throttle import FREE_TRIES
from ledger.audit import OPERATOR, Author, select_audit
from ledger.keys import load_audit_key
from ledger.password import hash_password, needs_rehash
from ledger.people import Account, add_account, find_account, set_disabled, set_password, set_role
from ledger.role import Role

WORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def boss(console: Any) -> Author:
    return Author(OPERATOR, datetime.now(UTC), load_audit_key(console.settings.keys_dir))


async def enrol(console: Any, address: str = "Anna@example.com", role: Role = Role.ADMIN) -> None:
    account = Account(address, role, (), hash_password(WORD))
    assert await add_account(console.stores.ledger, account, boss(console))


async def knock(client: Any, address: str, password: str, **options: Any) -> tuple[int, str, Any]:
    status, page, headers = await client.post(
        "/login", {"address": address, "password": password}, **options
    )
    return status, page, headers


async def told(console: Any) -> list[str]:
    async with console.stores.ledger.read() as connection:
        return [row.entry.action for row in await select_audit(connection, after=0, limit=100)]


async def test_address_and_password_sign_in_with_the_role_of_the_account(console: Any) -> None:
    await enrol(console)
    client = await console.stranger()
    status, _, headers = await knock(client, " anna@EXAMPLE.com ", WORD)
    assert (status, headers["Location"]) == (303, "/")
    _, page, _ = await client.get("/people")
    assert "Anna@example.com, admin" in page
    assert await told(console) == ["person.added", "person.signed_in"]


async def test_what_was_asked_for_is_shown_after_sign_in(console: Any) -> None:
    await enrol(console)
    client = await console.stranger()
    await client.get("/login?next=/messages")
    assert (await knock(client, "anna@example.com", WORD))[2]["Location"] == "/messages"


async def test_each_sign_in_is_a_new_session_and_ends_the_one_before(console: Any) -> None:
    await enrol(console)
    client = await console.stranger()
    sessions = []
    for _ in range(3):
        await knock(client, "anna@example.com", WORD)
        sessions.append(client.session)
    assert len(set(sessions)) == 3
    other = await console.stranger()
    for session, status in zip(sessions, (303, 303, 200), strict=True):
        header = {"Cookie": f"indicia={session}"}
        assert (await other.get("/", headers=header))[0] == status


@pytest.mark.slow
async def test_whoever_is_not_let_in_is_told_the_same(console: Any) -> None:
    # Law: an unknown person, a disabled one and a wrong password have the same answer at the same
    # cost.
    for address in ("anna@example.com", "gone@example.com", "bare@example.com"):
        await enrol(console, address)
    await set_disabled(console.stores.ledger, "gone@example.com", True, boss(console))
    await set_password(console.stores.ledger, "bare@example.com", None, boss(console))
    pages, took = [], []
    for address, password in (
        ("anna@example.com", "wrong"),
        ("nobody@example.com", WORD),
        ("gone@example.com", WORD),
        ("bare@example.com", WORD),
        ("no address", WORD),
    ):
        # each from another place, so that none has to wait for the others
        client = await console.stranger()
        console_door = door_module.Door(console.stores.ledger)
        began = time.process_time()
        assert await console_door.knock(address, password, "192.0.2.1") is None
        took.append(time.process_time() - began)
        console_door.close()
        if len(pages) < FREE_TRIES:
            status, page, headers = await knock(client, address, password)
            assert status == 403
            assert "Set-Cookie" not in headers
            pages.append(page.replace(address, "ADDRESS"))
    assert len(set(pages)) == 1
    assert "do not sign anybody in" in pages[0]
    assert max(took) < 4 * min(took)


async def test_who_fails_is_told_to_wait_and_comes_in_by_a_link_all_the_while(console: Any) -> None:
    await enrol(console)
    client = await console.stranger()
    failed = 0
    while (answer := await knock(client, "anna@example.com", "wrong"))[0] == 403:
        failed += 1
        assert failed < 10
    status, page, headers = answer
    assert (status, failed >= FREE_TRIES) == (429, True)
    assert int(headers["Retry-After"]) >= 1
    assert "Too many tries" in page
    assert (await client.post("/login", {"code": await console.link_code()}))[0] == 303
    assert (await told(console)).count("person.refused") == failed


async def test_a_right_password_waits_with_those_that_failed(console: Any) -> None:
    await enrol(console)
    knocker = door_module.Door(console.stores.ledger)
    for _ in range(20):
        knocker._throttle.count("account anna@example.com", asyncio.get_running_loop().time())
    answer = await knocker.knock("anna@example.com", WORD, "192.0.2.1")
    assert isinstance(answer, door_module.Wait)
    assert answer.seconds > 30
    knocker.close()


@pytest.mark.slow
async def test_many_tries_at_once_are_no_way_around(console: Any) -> None:
    await enrol(console)
    clients = [await console.stranger() for _ in range(12)]
    answers = await asyncio.gather(*(knock(one, "anna@example.com", "wrong") for one in clients))
    statuses = [status for status, _, _ in answers]
    # A busy machine may take a second or two for the first ones, and let the next one through.
    assert FREE_TRIES <= statuses.count(403) <= FREE_TRIES + 2
    assert statuses.count(429) == 12 - statuses.count(403)


@pytest.mark.slow
async def test_a_client_that_tries_many_names_waits_and_others_do_not(start_console: Any) -> None:
    console = await start_console()
    await enrol(console)
    knocker = door_module.Door(console.stores.ledger)
    found = [
        await knocker.knock(f"p{number}@example.com", "wrong", "192.0.2.1") for number in range(5)
    ]
    assert [isinstance(one, door_module.Wait) for one in found] == [False] * 3 + [True] * 2
    account = await knocker.knock("anna@example.com", WORD, "192.0.2.2")
    assert isinstance(account, Account)
    knocker.close()


async def test_more_than_a_few_comparisons_do_not_queue(console: Any) -> None:
    knocker = door_module.Door(console.stores.ledger)
    knocker._waiting = door_module._MAX_WAITING
    assert await knocker.knock("anna@example.com", WORD, "192.0.2.1") == door_module.Wait(5)
    knocker.close()


@pytest.mark.parametrize("change", ["disabled", "password", "role"])
async def test_a_person_who_is_shut_out_or_changed_loses_his_session_at_once(
    console: Any, change: str
) -> None:
    await enrol(console)
    client = await console.stranger()
    await knock(client, "anna@example.com", WORD)
    assert (await client.get("/people"))[0] == 200
    ledger, author = console.stores.ledger, boss(console)
    match change:
        case "disabled":
            await set_disabled(ledger, "anna@example.com", True, author)
        case "password":
            await set_password(ledger, "anna@example.com", hash_password("another word"), author)
        case "role":
            await set_role(ledger, "anna@example.com", Role.USER, author)
    assert (await client.get("/people"))[0] == 303


async def test_a_hash_of_other_costs_is_made_anew_at_sign_in(console: Any) -> None:
    ledger = console.stores.ledger
    await add_account(
        ledger, Account("old@example.com", Role.USER, (), CHEAP.hash(WORD)), boss(console)
    )
    client = await console.stranger()
    assert (await knock(client, "old@example.com", WORD))[0] == 303
    found = await find_account(ledger, "old@example.com")
    assert found is not None
    assert found.password_hash is not None
    assert not needs_rehash(found.password_hash)
    assert (await client.get("/"))[0] == 200


async def test_no_password_and_no_address_that_was_tried_is_kept(console: Any) -> None:
    client = await console.stranger()
    await knock(client, "tried@example.org", "a-password-of-somebody")
    await knock(client, "a-password-in-the-wrong-field", "x")
    file = console.settings.server.state_dir / "ledger.db"
    with sqlite3.connect(file) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    for word in ("tried@example.org", "a-password"):
        assert word not in dump
    assert "person.refused" in dump


async def test_another_site_can_not_sign_a_browser_in(console: Any) -> None:
    await enrol(console)
    client = await console.stranger()
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await knock(client, "anna@example.com", WORD, headers=foreign))[0] == 403
    assert await told(console) == ["person.added"]


@pytest.mark.slow
async def test_the_page_does_not_stand_still_while_a_password_is_compared(console: Any) -> None:
    await enrol(console)
    clients = [await console.stranger() for _ in range(3)]
    pending = [asyncio.create_task(knock(one, "anna@example.com", WORD)) for one in clients]
    answered = 0
    while not all(task.done() for task in pending):
        assert (await clients[0].get("/healthz"))[0] == 200
        answered += 1
    assert answered > 3
    assert [(await task)[0] for task in pending] == [303] * 3
