"""A route of the API: what it is, and how a request of it is answered."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel

from collector.console.api.asked import Asked
from collector.console.api.caller import Caller, admit_caller
from collector.console.api.problem import ProblemError
from collector.console.api.read import JSON, read_body, read_query, refuse_query
from ledger.role import Scope

_Asked = TypeVar("_Asked", bound=Asked)

STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Route(Generic[_Asked]):
    """One line of the table: the router and openapi.json are both made of it."""

    method: str
    path: str
    scope: Scope
    answer: Callable[[Caller, _Asked], Awaitable[dict[str, object] | web.StreamResponse]]
    asked: type[_Asked]
    """Of path and query; of path and body where it changes something."""
    told: type[BaseModel] | None
    """The model of the answer; None: a stream of events."""
    summary: str

    @property
    def has_body(self) -> bool:
        """Whether what is asked stands in a body."""
        return self.method != "GET"

    @property
    def name(self) -> str:
        """What programs made of openapi.json call it."""
        return self.answer.__name__

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request: let it in, read it, do it.  Raises ProblemError."""
        caller = await admit_caller(request, self.scope)
        answer = await self.answer(caller, await self._read(request))
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response(answer)

    async def _read(self, request: web.Request) -> _Asked:
        now, path = datetime.now(UTC), dict(request.match_info)
        if not self.has_body:
            return read_query(self.asked, path, request.query.items(), now)
        refuse_query(request.query.items())
        if request.content_type != JSON:
            raise ProblemError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Nothing was done. The body is sent as {request.content_type}; write JSON, and "
                f"say so: `Content-Type: {JSON}`.",
                # RFC 9110 15.5.16: what would have been taken.
                headers={"Accept": JSON},
            )
        return read_body(self.asked, path, await request.read(), now)
