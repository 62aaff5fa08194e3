"""openapi.json."""

import json
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from collector.console.api.document import write_document
from collector.console.api.routes import ROUTES
from ledger.role import Scope


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return write_document(ROUTES)


def operation(document: dict[str, Any], route: Any) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][route.path][route.method.lower()]
    return found


def test_each_route_is_there_and_nothing_else(document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert told == {(route.method, route.path) for route in ROUTES}
    names = [operation(document, route)["operationId"] for route in ROUTES]
    assert len(set(names)) == len(names)


def test_each_reference_leads_somewhere_and_each_schema_is_one(document: dict[str, Any]) -> None:
    written = json.dumps(document)
    for kind in ("schemas", "responses"):
        for name, one in document["components"][kind].items():
            assert f'"#/components/{kind}/{name}"' in written, name
            if kind == "schemas":
                Draft202012Validator({**one, "components": document["components"]})
    for reference in {part.split('"')[0] for part in written.split('"#/components/')[1:]}:
        kind, name = reference.split("/")
        assert name in document["components"][kind]


def test_each_operation_says_what_it_needs_and_what_can_go_wrong(
    document: dict[str, Any],
) -> None:
    for route in ROUTES:
        told = operation(document, route)
        assert {"200", "400", "401", "429", "503"} <= set(told["responses"])
        assert ("403" in told["responses"]) == (route.scope is Scope.ADMIN)
        assert ("requestBody" in told) == route.has_body
        in_path = {one["name"] for one in told["parameters"] if one["in"] == "path"}
        assert in_path == {part[1:-1] for part in route.path.split("/") if part.startswith("{")}
        assert all(one["description"] for one in told["parameters"])


def test_no_default_is_of_another_kind_than_its_parameter(document: dict[str, Any]) -> None:
    for route in ROUTES:
        for one in operation(document, route)["parameters"]:
            schema = one["schema"]
            if "default" in schema:
                whole = {**schema, "components": document["components"]}
                assert Draft202012Validator(whole).is_valid(schema["default"]), one
