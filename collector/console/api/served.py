"""The API as a part of the console: its routes, and how its problems are told."""

from http import HTTPStatus

import structlog
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from collector.console.api.caller import THROTTLE
from collector.console.api.document import write_document
from collector.console.api.problem import MEDIA_TYPE, Problem, ProblemError, problem_object
from collector.console.api.routes import PREFIX, ROUTES
from collector.console.guard import Handler, is_api
from collector.console.throttle import Throttle

DOCUMENT_PATH = f"{PREFIX}/openapi.json"
"""Answers strangers: it says what every installation can do, and nothing of this one."""

_RETRY_S = "5"

_log = structlog.stdlib.get_logger()

_MENDS = {
    HTTPStatus.NOT_FOUND: f"There is no such path. {DOCUMENT_PATH} lists those that are.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path is not asked so. Allow says how it is.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Nothing was done. The body is too long; send less than "
    "64 KiB at a time.",
}


def add_api(app: web.Application) -> None:
    """Give an application the routes of the API."""
    app[THROTTLE] = Throttle()
    document = write_document(ROUTES)

    async def show_document(_request: web.Request) -> web.Response:
        return web.json_response(document)

    app.router.add_get(DOCUMENT_PATH, show_document)
    for route in ROUTES:
        if route.method == "GET":
            # A stream has no end, so there is no HEAD of it.
            streams = route.told is None
            app.router.add_get(PREFIX + route.path, route.serve, allow_head=not streams)
        else:
            app.router.add_route(route.method, PREFIX + route.path, route.serve)


@web.middleware
async def tell_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a program's request that met something with what it met."""
    if not is_api(request):
        return await handler(request)
    try:
        return await handler(request)
    except ProblemError as error:
        return _answer(error.problem, error.headers)
    except web.HTTPError as error:
        status = HTTPStatus(error.status)
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return _answer(Problem(status, _MENDS.get(status, f"{status.phrase}.")), kept)
    except SQLAlchemyError as error:
        resource = request.match_info.route.resource
        route = None if resource is None else resource.canonical
        _log.warning("api.record_away", route=route, why=type(error).__name__)
        problem = Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The record can not be read or written at this moment. Ask again; /readyz tells "
            "when it can.",
        )
        return _answer(problem, {"Retry-After": _RETRY_S})


def _answer(problem: Problem, headers: dict[str, str]) -> web.Response:
    return web.json_response(
        problem_object(problem),
        status=problem.status,
        content_type=MEDIA_TYPE,
        headers=headers,
    )
