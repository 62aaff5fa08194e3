"""Tokens: who is let in, and who has to wait."""

from datetime import UTC, datetime
from typing import Any

from ledger.api_tokens import revoke_api_token
from ledger.audit import OPERATOR, Author
from ledger.role import Scope


async def test_bad_tokens_must_wait_and_a_good_one_from_there_never_does(
    make_program: Any,
) -> None:
    # Law: a good token is never made to wait, however many bad ones come from where it comes from.
    good = await make_program(Scope.READ)
    bad = await make_program(None)
    statuses = []
    for number in range(6):
        bad.token = f"guess-{number}"
        status, told, headers = await bad.ask("GET", "/messages")
        statuses.append(status)
        assert (await good.ask("GET", "/messages"))[0] == 200
    assert statuses[:3] == [401, 401, 401]
    assert statuses[-1] == 429
    assert int(headers["Retry-After"]) >= 1
    assert "Retry-After" in told["detail"]
    # No token is no guess.
    bad.token = ""
    assert (await bad.ask("GET", "/messages"))[0] == 401


async def test_the_scheme_has_no_case_and_other_schemes_are_none(program: Any) -> None:
    token, program.token = program.token, ""
    for header, status in (
        (f"bearer {token}", 200),
        (f"BEARER  {token} ", 200),
        (f"Basic {token}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (token, 401),
    ):
        headers = {"Authorization": header}
        assert (await program.ask("GET", "/policy", headers=headers))[0] == status, header


async def test_a_token_in_the_url_is_not_read(program: Any) -> None:
    token, program.token = program.token, ""
    status, _, _ = await program.ask("GET", "/policy", params={"access_token": token})
    assert status == 401


async def test_a_revoked_token_lets_nobody_in(program: Any) -> None:
    author = Author(OPERATOR, datetime.now(UTC), b"k" * 32)
    assert (await program.ask("GET", "/policy"))[0] == 200
    await revoke_api_token(program.console.stores.ledger, program.name, author)
    assert (await program.ask("GET", "/policy"))[0] == 401
