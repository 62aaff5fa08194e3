"""The page of people: who may sign in, and what an admin changes of it.

Nobody shuts himself out: who is signed in can neither disable himself nor take his own role away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from collector.console.desk import DESK
from collector.console.page import PERSON, render_page
from ledger.address import AddressError, parse_address
from ledger.audit import Author, author_of
from ledger.engine import Store
from ledger.password import PasswordError, hash_password
from ledger.people import (
    Account,
    add_account,
    list_accounts,
    set_disabled,
    set_password,
    set_role,
    set_send_as,
)
from ledger.role import Role
from ledger.spelling import tell_oddness

_DONE = {
    "added": "Added.",
    "odd": "Added. The address is an unusual one, though: look whether it is spelt as you mean it.",
    "role": "The role is changed, and the person signed out.",
    "send-as": "It is changed who may be sent as.",
    "password": "The password is changed, and the person signed out.",
    "disabled": "Disabled, and signed out.",
    "enabled": "Enabled.",
}


class _RefusedError(Exception):
    """A form that can not be done as it is; the text says why, and the mend."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A form about one person, and who has sent it."""

    ledger: Store
    author: Author
    address: str
    form: Mapping[str, str]
    own: bool
    """Whether it is about the one who has sent it."""


_Act = Callable[[_Asked], Awaitable[str]]


async def show_people(request: web.Request) -> web.Response:
    """List the people, each with what can be changed."""
    return await _page(request, done=_DONE.get(request.query.get("done", ""), ""))


async def add_person(request: web.Request) -> web.StreamResponse:
    """Add an account."""
    return await _answer(request, _add)


async def change_role(request: web.Request) -> web.StreamResponse:
    """Change what a person may see and do."""
    return await _answer(request, _change_role)


async def change_send_as(request: web.Request) -> web.StreamResponse:
    """Change who a person may send as."""
    return await _answer(request, _change_send_as)


async def change_password(request: web.Request) -> web.StreamResponse:
    """Give a person another password."""
    return await _answer(request, _change_password)


async def switch_person(request: web.Request) -> web.StreamResponse:
    """Disable a person, or enable him again."""
    return await _answer(request, _switch)


async def _answer(request: web.Request, act: _Act) -> web.StreamResponse:
    """Do what a form asks for, and show the page again: what was done, or why it was not."""
    desk, person = request.app[DESK], request[PERSON]
    fields = await request.post()
    form = {name: value for name, value in fields.items() if isinstance(value, str)}
    address = form.get("address", "").strip()
    own = person.key is not None and person.key == _key(address)
    author = author_of(person.key, datetime.now(UTC), desk.audit_key)
    try:
        done = await act(_Asked(desk.ledger, author, address, form, own))
    except _RefusedError as error:
        return await _page(request, refused=str(error), address=address, status=422)
    return web.Response(status=303, headers={"Location": f"/people?done={done}"})


async def _page(
    request: web.Request, *, done: str = "", refused: str = "", address: str = "", status: int = 200
) -> web.Response:
    shown = {
        "accounts": await list_accounts(request.app[DESK].ledger),
        "roles": tuple(Role),
        "own_key": request[PERSON].key,
        "done": done,
        "refused": refused,
        "address": address,
    }
    return render_page(request, "people.html", shown, status=status)


async def _add(asked: _Asked) -> str:
    if _key(asked.address) is None:
        msg = f"{asked.address!r} is no mail address. Write name@example.com."
        raise _RefusedError(msg)
    password = asked.form.get("password", "")
    account = Account(
        asked.address,
        _role(asked.form),
        _patterns(asked.form),
        await _hashed(password) if password else None,
    )
    if not await add_account(asked.ledger, account, asked.author):
        msg = f"{asked.address} has an account already. Change that one."
        raise _RefusedError(msg)
    return "added" if tell_oddness(asked.address) is None else "odd"


async def _change_role(asked: _Asked) -> str:
    role = _role(asked.form)
    if asked.own:
        msg = "You can not change your own role. Ask another admin."
        raise _RefusedError(msg)
    return _found(await set_role(asked.ledger, asked.address, role, asked.author), "role")


async def _change_send_as(asked: _Asked) -> str:
    patterns = _patterns(asked.form)
    return _found(await set_send_as(asked.ledger, asked.address, patterns, asked.author), "send-as")


async def _change_password(asked: _Asked) -> str:
    hashed = await _hashed(asked.form.get("password", ""))
    return _found(await set_password(asked.ledger, asked.address, hashed, asked.author), "password")


async def _switch(asked: _Asked) -> str:
    disabled = asked.form.get("disabled") == "yes"
    if asked.own and disabled:
        msg = "You can not disable yourself. Ask another admin."
        raise _RefusedError(msg)
    done = await set_disabled(asked.ledger, asked.address, disabled, asked.author)
    return _found(done, "disabled" if disabled else "enabled")


def _found(found: bool, done: str) -> str:  # noqa: FBT001 - what was found
    if not found:
        msg = "There is no such account any more."
        raise _RefusedError(msg)
    return done


def _role(form: Mapping[str, str]) -> Role:
    try:
        return Role(form.get("role", ""))
    except ValueError:
        msg = "Choose a role."
        raise _RefusedError(msg) from None


def _patterns(form: Mapping[str, str]) -> tuple[str, ...]:
    # Words between spaces, commas or lines are patterns, each once, in the order given.
    words = form.get("send_as", "").replace(",", " ").split()
    return tuple(dict.fromkeys(words))


async def _hashed(password: str) -> str:
    try:
        return await asyncio.to_thread(hash_password, password)
    except PasswordError as error:
        raise _RefusedError(str(error)) from None


def _key(address: str) -> str | None:
    try:
        return parse_address(address).key
    except AddressError:
        return None
