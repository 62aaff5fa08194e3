"""A console with a day of a small sales team, and programs that ask it."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from ledger.api_tokens import ApiToken, add_api_token
from ledger.audit import OPERATOR, Author
from ledger.keys import load_audit_key
from ledger.role import Scope
from ledger.sessions import hash_secret


@dataclass
class Program:
    """A program with a token, or without one."""

    base: str
    http: aiohttp.ClientSession
    token: str = ""
    name: str = ""
    send_id: str = ""
    console: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any, Any]:
        """Return status, JSON and headers."""
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            options["data"] = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        async with self.http.request(
            method, f"{self.base}/api/v1{path}", headers=headers, **options
        ) as response:
            raw = await response.read()
            return response.status, json.loads(raw) if raw else None, response.headers

    async def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of what must be there."""
        status, told, _ = await self.ask("GET", path, params=query)
        assert status == 200, told
        return told

    async def pages(self, path: str, of: str, **query: Any) -> list[Any]:
        """Return a list, page by page to its end."""
        told = await self.get(path, **query)
        found = list(told[of])
        while told["next_cursor"] is not None:
            told = await self.get(path, **{**query, "cursor": told["next_cursor"]})
            found += told[of]
        return found


@pytest.fixture
def make_program(
    console: Any, seed_demo: Callable[..., Awaitable[str]]
) -> Callable[..., Awaitable[Program]]:
    """Give programs by the scope of their token; the console is filled for the first."""
    filled: list[str] = []

    async def make(scope: Scope | None = Scope.ADMIN) -> Program:
        if not filled:
            filled.append(await seed_demo(console))
        stranger = await console.stranger()
        program = Program(console.base, stranger.http, send_id=filled[0], console=console)
        if scope is not None:
            program.name = f"{scope.value} of the tests"
            program.token = f"canary-{scope.value}-0123456789abcdef0123456789abcdef"
            author = Author(OPERATOR, datetime.now(UTC), load_audit_key(console.settings.keys_dir))
            token = ApiToken(program.name, scope, author.at)
            await add_api_token(console.stores.ledger, token, hash_secret(program.token), author)
        return program

    return make


@pytest.fixture
async def program(make_program: Callable[..., Awaitable[Program]]) -> Program:
    """A program that may change everything."""
    return await make_program()
