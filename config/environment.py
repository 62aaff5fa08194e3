"""Options from the environment: `INDICIA_SECTION__KEY`, which go before the file's.

Lists are separated by commas, or written as TOML writes them; an item of a list of tables has its
number, from 0: `INDICIA_UPSTREAM__0__HOST`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from config.faults import Fault, option_at
from config.locate import KeyPath
from config.options import Option

PREFIX = "INDICIA_"
FILE_VARIABLE = "INDICIA_CONFIG"

_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class Variable:
    """One option said by the environment."""

    name: str
    path: KeyPath
    value: object
    """As TOML would have it."""


def read_environment(environ: Mapping[str, str]) -> list[Variable]:
    """Return the options of the environment, in order of their names."""
    return [
        _variable(name, text)
        for name, text in sorted(environ.items())
        if name.startswith(PREFIX) and name != FILE_VARIABLE
    ]


def put_variable(whole: dict[str, object], variable: Variable) -> Fault | None:
    """Write one option into the tables of a file; return why it has no place there."""
    *outer, last = variable.path
    here: object = whole
    for part, following in zip(outer, variable.path[1:], strict=True):
        here = _step(here, part, following)
    if isinstance(here, dict) and isinstance(last, str):
        here[last] = variable.value
        return None
    if isinstance(here, list) and isinstance(last, int) and last <= len(here):
        here[last : last + 1] = [variable.value]
        return None
    return Fault("", variable.name, "has no place", "count list items from 0 without a gap")


def _step(here: object, part: str | int, following: str | int) -> object:
    """Go into a table or list item, making it where it is the next one."""
    if isinstance(here, dict) and isinstance(part, str):
        if isinstance(following, str) or following == 0:
            here.setdefault(part, {} if isinstance(following, str) else [])
        return here.get(part)
    if isinstance(here, list) and isinstance(part, int) and part <= len(here):
        here[part:] = here[part:] or [{}]
        return here[part]
    return None


def _variable(name: str, text: str) -> Variable:
    parts = name.removeprefix(PREFIX).lower().split("__")
    path = tuple(int(part) if part.isascii() and part.isdigit() else part for part in parts)
    option = option_at(path)
    is_item = isinstance(path[-1], int)
    return Variable(name, path, _value(option, text, is_item=is_item))


def _value(option: Option | None, text: str, *, is_item: bool) -> object:
    bare = text.strip()
    if option is None or (option.is_list and not is_item):
        listed = option is not None or bare.startswith("[")
        return _list(bare) if listed else text
    if bool in option.bare_types and bare.lower() in ("true", "false"):
        return bare.lower() == "true"
    if int in option.bare_types and _NUMBER.fullmatch(bare):
        return int(bare)
    return text


def _list(text: str) -> object:
    """Return the items; where brackets are not TOML, the text itself, which the model refuses."""
    if text.startswith("["):
        try:
            return tomllib.loads(f"list = {text}")["list"]
        except tomllib.TOMLDecodeError:
            return text
    return [item.strip() for item in text.split(",") if item.strip()]
