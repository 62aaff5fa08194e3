"""People and tokens: who is let in, as an operator says it."""

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import typer

from collector.console.access import make_sign_in_link
from config.kinds import is_pattern
from config.settings import Settings
from indicia.acting import OPERATOR, operator
from indicia.failure import USAGE, Failure
from indicia.printing import plain_text, print_json, print_line, table
from indicia.storage import opened_stores
from ledger.address import AddressError, parse_address
from ledger.api_tokens import ApiToken, add_api_token, list_api_tokens, revoke_api_token
from ledger.audit import Author
from ledger.engine import Store
from ledger.password import PasswordError, hash_password
from ledger.people import (
    Account,
    add_account,
    find_account,
    list_accounts,
    set_disabled,
    set_password,
    set_role,
    set_send_as,
)
from ledger.role import Role, Scope
from ledger.sessions import Person, hash_secret
from ledger.spelling import tell_oddness

_TOKEN_BYTES = 32
_Result = TypeVar("_Result")


def add_user(
    settings: Settings, address: str, role: Role, send_as: Sequence[str], password: str | None
) -> None:
    """Add an account; without a password its person comes in by `signin`.  Raises Failure."""
    try:
        parse_address(address)
    except AddressError as error:
        raise Failure(str(error), USAGE) from None
    oddness = tell_oddness(address)
    if oddness is not None:
        typer.echo(f"indicia: warning: {plain_text(address)}: {plain_text(oddness)}", err=True)
    account = Account(address, role, _patterns(send_as), _hashed(password))

    async def add(ledger: Store, author: Author) -> bool:
        return await add_account(ledger, account, author)

    if not _run(settings, add):
        msg = f"{address} has an account already; change it: indicia user change {address} …"
        raise Failure(msg)
    print_line(f"{address}: added as {role.value}")


def change_password(settings: Settings, address: str, password: str) -> None:
    """Change a password; the person's sessions end.  Raises Failure."""
    hashed = _hashed(password)

    async def change(ledger: Store, author: Author) -> bool:
        return await set_password(ledger, address, hashed, author)

    _must_exist(address, _run(settings, change))
    print_line(f"{address}: password changed, sessions ended")


def change_user(
    settings: Settings, address: str, role: Role | None, send_as: Sequence[str]
) -> None:
    """Change role and patterns, as far as they are given.  Raises Failure."""
    if role is None and not send_as:
        msg = "nothing to change; write --role or --send-as"
        raise Failure(msg, USAGE)
    patterns = _patterns(pattern for pattern in send_as if pattern)

    async def change(ledger: Store, author: Author) -> bool:
        found = True
        if role is not None:
            found = await set_role(ledger, address, role, author)
        if send_as and found:
            found = await set_send_as(ledger, address, patterns, author)
        return found

    _must_exist(address, _run(settings, change))
    print_line(f"{address}: changed")


def switch_user(settings: Settings, address: str, *, disabled: bool) -> None:
    """Shut a person out, or let him in again.  Raises Failure."""

    async def switch(ledger: Store, author: Author) -> bool:
        return await set_disabled(ledger, address, disabled, author)

    _must_exist(address, _run(settings, switch))
    told = "disabled, sessions ended" if disabled else "enabled"
    print_line(f"{address}: {told}")


def list_users(settings: Settings, *, as_json: bool) -> None:
    """Print the accounts, by address."""
    accounts = _run(settings, lambda ledger, _author: list_accounts(ledger))
    if as_json:
        for account in accounts:
            print_json(
                {
                    "address": account.address,
                    "role": account.role.value,
                    "send_as": account.send_as,
                    "password": account.password_hash is not None,
                    "disabled": account.disabled,
                }
            )
        return
    rows = [
        (
            account.address,
            account.role.value,
            "disabled" if account.disabled else "enabled",
            "password" if account.password_hash else "no password",
            ", ".join(account.send_as),
        )
        for account in accounts
    ]
    _print_table(rows, "nobody yet; write: indicia user add ADDRESS --role admin --password-stdin")


def create_token(settings: Settings, name: str, scope: Scope, *, as_json: bool) -> None:
    """Print a new token, which is told this once.  Raises Failure."""
    if not name.isprintable() or not name.strip():
        msg = f"{name!r} is no name for a token; write one of printable characters"
        raise Failure(msg, USAGE)
    secret = secrets.token_urlsafe(_TOKEN_BYTES)

    async def create(ledger: Store, author: Author) -> bool:
        token = ApiToken(name, scope, author.at)
        return await add_api_token(ledger, token, hash_secret(secret), author)

    if not _run(settings, create):
        msg = f"there is a token {name!r} already; take another name, or revoke that one first"
        raise Failure(msg)
    if as_json:
        print_json({"token": secret})
    else:
        print_line(secret)


def list_tokens(settings: Settings, *, as_json: bool) -> None:
    """Print the tokens by name, without their secrets, which nobody has."""
    tokens = _run(settings, lambda ledger, _author: list_api_tokens(ledger))
    rows = [(one.name, one.scope.value, f"{one.created_at:%Y-%m-%dT%H:%M:%SZ}") for one in tokens]
    if not as_json:
        _print_table(rows, "no tokens yet; write: indicia token create NAME --scope read")
        return
    for row in rows:
        print_json(dict(zip(("name", "scope", "created_at"), row, strict=True)))


def revoke_token(settings: Settings, name: str) -> None:
    """Let nobody in by this token any more.  Raises Failure."""
    if not _run(settings, lambda ledger, author: revoke_api_token(ledger, name, author)):
        msg = f"there is no token {name!r}; see: indicia token list"
        raise Failure(msg)
    print_line(f"{plain_text(name)}: revoked")


def print_sign_in_link(settings: Settings, address: str | None) -> None:
    """Print a link that signs in once: the operator, or the person of an account.

    Raises Failure.
    """

    async def make(ledger: Store, author: Author) -> str:
        person = OPERATOR if address is None else await _person(ledger, address)
        return await make_sign_in_link(ledger, settings.console.public_url, person, author)

    print_line(_run(settings, make))


def read_password() -> str:
    """Return the first line of standard input, without its end.  Raises Failure."""
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        msg = "the password on standard input is not UTF-8"
        raise Failure(msg, USAGE) from None


async def _person(ledger: Store, address: str) -> Person:
    account = await find_account(ledger, address)
    if account is None or account.disabled:
        told = "is disabled" if account else "has no account"
        msg = f"{address} {told}; see: indicia user list"
        raise Failure(msg)
    return Person(account.address, account.role, account.key)


def _run(settings: Settings, act: Callable[[Store, Author], Awaitable[_Result]]) -> _Result:
    async def run() -> _Result:
        author = operator(settings)
        async with opened_stores(settings) as stores:
            return await act(stores.ledger, author)

    return asyncio.run(run())


def _hashed(password: str | None) -> str | None:
    if password is None:
        return None
    try:
        return hash_password(password)
    except PasswordError as error:
        raise Failure(str(error), USAGE) from None


def _patterns(given: Iterable[str]) -> tuple[str, ...]:
    patterns = tuple(given)
    for pattern in patterns:
        if not is_pattern(pattern):
            msg = f"{pattern!r} is no pattern of addresses; write *@example.com or an address"
            raise Failure(msg, USAGE)
    return patterns


def _must_exist(address: str, found: bool) -> None:
    if not found:
        msg = f"{address} has no account; see: indicia user list"
        raise Failure(msg)


def _print_table(rows: Sequence[Sequence[object]], empty: str) -> None:
    for line in table(rows) if rows else (empty,):
        print_line(line)
