"""A request, read as the model of its route says."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from collector.console.api.asked import Asked
from collector.console.api.problem import Fault, ProblemError

JSON = "application/json"

_Asked = TypeVar("_Asked", bound=Asked)


def read_query(
    model: type[_Asked], path: Mapping[str, str], pairs: Iterable[tuple[str, str]], now: datetime
) -> _Asked:
    """Return what path and query say.  Raises ProblemError."""
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    several = _lists_of(model)
    twice = [name for name in given if len(given[name]) > 1 and name not in several]
    if twice:
        raise _refused([Fault(name, "is given twice; give it once") for name in twice])
    _refuse_path(path, given)
    words = {name: values if name in several else values[0] for name, values in given.items()}
    return _validated(model, path, words, now)


def read_body(model: type[_Asked], path: Mapping[str, str], raw: bytes, now: datetime) -> _Asked:
    """Return what path and JSON body say.  Raises ProblemError."""
    try:
        words = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _refused([Fault("body", f"is no JSON: {error}; write an object")]) from None
    if not isinstance(words, dict):
        raise _refused([Fault("body", 'is no JSON object; write {"name": value, …}')])
    _refuse_path(path, words)
    return _validated(model, path, words, now)


def refuse_query(pairs: Iterable[tuple[str, str]]) -> None:
    """Raise ProblemError where a request has parameters and its route has none."""
    faults = [Fault(name, "is not known here; this request has a body alone") for name, _ in pairs]
    if faults:
        raise _refused(faults)


def _refuse_path(path: Mapping[str, str], words: Mapping[str, object]) -> None:
    twice = [name for name in words if name in path]
    if twice:
        raise _refused([Fault(name, "stands in the path; leave it out here") for name in twice])


def _validated(
    model: type[_Asked], path: Mapping[str, str], words: Mapping[str, Any], now: datetime
) -> _Asked:
    try:
        return model.model_validate({**words, **path}, context={"now": now})
    except ValidationError as error:
        faults = _faults(error)
    nowhere = [one for one in faults if one.where in path]
    if nowhere:
        # What can not be named is not there.
        told = f"There is nothing of this name. {_told(nowhere)}."
        raise ProblemError(HTTPStatus.NOT_FOUND, told, nowhere)
    raise _refused(faults)


def _faults(error: ValidationError) -> list[Fault]:
    return [
        Fault(".".join(map(str, one["loc"])), _why(one["type"], one["msg"]))
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _why(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not known here; openapi.json lists what is"
    if kind == "missing":
        return "is missing; write it"
    return message.removeprefix("Value error, ")


def _refused(faults: list[Fault]) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, f"Nothing was done. {_told(faults)}.", faults)


def _told(faults: list[Fault]) -> str:
    return "; ".join(f"{one.where}: {one.what}" for one in faults)


@cache
def _lists_of(model: type[Asked]) -> frozenset[str]:
    """Return the names of parameters that may be given several times."""
    properties = model.model_json_schema().get("properties", {})
    return frozenset(name for name, one in properties.items() if one.get("type") == "array")
