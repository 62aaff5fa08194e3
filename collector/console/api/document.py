"""openapi.json: the table of routes, told as OpenAPI 3.1."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from collector.console.api.problem import MEDIA_TYPE
from collector.console.api.read import JSON
from collector.console.api.route import STREAM, Route
from collector.console.api.routes import PREFIX
from collector.console.api.told import EventTold, ProblemTold
from ledger.role import Scope

_REF = "#/components/schemas/{model}"
_REFERRED = re.compile(r'"#/components/schemas/(\w+)"')
_PROBLEMS = {
    "400": "What is asked can not be read: `errors` says what is wrong, where, and the mend.",
    "401": "There is no token, or a bad one.",
    "403": "The token reads, and this changes something.",
    "404": "There is nothing of this name.",
    "413": "The body is longer than 64 KiB.",
    "415": "The body is no JSON.",
    "429": "Too many bad tokens have come from there: Retry-After says how long to wait.",
    "503": "The record can not be read or written at this moment.",
}

_Object = dict[str, Any]


def write_document(routes: Iterable[Route[Any]]) -> _Object:
    """Return the document of some routes."""
    table = tuple(routes)
    asked = {route.asked for route in table}
    told: set[type[BaseModel]] = {ProblemTold, EventTold}
    told |= {route.told for route in table if route.told is not None}
    schemas, definitions = _schemas(asked, told)
    paths: dict[str, _Object] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, schemas[route.asked]
        )
    named = _referred(paths) | {ProblemTold.__name__, EventTold.__name__}
    needed = _needed(named, definitions)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Indicia",
            "version": "1",
            "description": "What the console shows, for programs; docs/api.md tells more.",
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: definitions[name] for name in needed},
            "responses": {
                status: {
                    "description": why,
                    "content": {MEDIA_TYPE: {"schema": _ref(ProblemTold)}},
                }
                for status, why in _PROBLEMS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made with `indicia token create NAME --scope read|admin`.",
                }
            },
        },
    }


def _schemas(
    asked: Iterable[type[BaseModel]], told: Iterable[type[BaseModel]]
) -> tuple[dict[type[BaseModel], _Object], dict[str, _Object]]:
    """Return the schema of each model that is asked by, and all by name that others refer to."""
    questions = sorted(asked, key=lambda model: model.__name__)
    answers = sorted(told, key=lambda model: model.__name__)
    _, by_name = models_json_schema(
        [(one, "validation") for one in (*questions, *answers)], ref_template=_REF
    )
    definitions: dict[str, _Object] = by_name["$defs"]
    schemas = {model: definitions.pop(model.__name__) for model in questions}
    return schemas, {name: _plain(one) for name, one in definitions.items()}


def _needed(names: Iterable[str], definitions: dict[str, _Object]) -> list[str]:
    """Return the names of the definitions that these refer to, and those in turn, sorted."""
    needed: set[str] = set()
    coming = set(names)
    while coming:
        needed |= coming
        coming = {one for name in coming for one in _referred(definitions[name])} - needed
    return sorted(needed)


def _referred(schema: object) -> set[str]:
    return set(_REFERRED.findall(json.dumps(schema)))


def _operation(route: Route[Any], schema: _Object) -> _Object:
    properties: dict[str, _Object] = schema.get("properties", {})
    required = schema.get("required", [])
    in_path = [name for name in properties if f"{{{name}}}" in route.path]
    rest = {name: one for name, one in properties.items() if name not in in_path}
    told: _Object = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "description": f"Asks for a token of scope `{route.scope.value}`.",
        "parameters": [
            *(_parameter(name, properties[name], "path", needed=True) for name in in_path),
            *_in_query(route, rest, required),
        ],
        "responses": {"200": _answer(route), **dict(_problems(route))},
    }
    if route.has_body:
        body: _Object = {"type": "object", "additionalProperties": False}
        body["properties"] = {name: _plain(one) for name, one in rest.items()}
        body["required"] = [name for name in required if name in rest]
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    return told


def _in_query(
    route: Route[Any], properties: dict[str, _Object], required: list[str]
) -> Iterator[_Object]:
    if not route.has_body:
        for name, schema in properties.items():
            yield _parameter(name, schema, "query", needed=name in required)
    if route.told is None:
        yield {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The `id` of the last event that was seen; goes before `cursor`.",
            "schema": {"type": "string", "format": "cursor"},
        }


def _parameter(name: str, schema: _Object, where: str, *, needed: bool) -> _Object:
    shown = _plain(schema)
    description = shown.pop("description", "")
    return {
        "name": name,
        "in": where,
        "required": needed,
        "description": description,
        "schema": shown,
    }


def _answer(route: Route[Any]) -> _Object:
    if route.told is None:
        return {
            "description": "Each event has its type as `event`, and as `data` an object as in "
            "`/events`; `id` is a cursor.",
            "content": {STREAM: {"schema": {"type": "string"}}},
        }
    return {"description": "As asked.", "content": {JSON: {"schema": _ref(route.told)}}}


def _problems(route: Route[Any]) -> Iterator[tuple[str, _Object]]:
    statuses = ["400", "401", "429", "503"]
    statuses += ["403"] if route.scope is Scope.ADMIN else []
    statuses += ["404"] if "{" in route.path else []
    statuses += ["413", "415"] if route.has_body else []
    for status in sorted(statuses):
        yield status, {"$ref": f"#/components/responses/{status}"}


def _ref(model: type[BaseModel]) -> _Object:
    return {"$ref": _REF.format(model=model.__name__)}


def _plain(schema: _Object) -> _Object:
    """Return a schema without what only Python says: titles, and None for what is left out."""
    shown = {
        key: value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and (key, value) != ("default", None)
    }
    if "properties" in shown:
        shown["properties"] = {name: _plain(one) for name, one in shown["properties"].items()}
    return shown
