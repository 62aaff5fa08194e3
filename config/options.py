"""The model laid out as a list: section, key, kind, unit, default."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from config.kinds import Kind, Later
from config.section import Section
from config.settings import Settings

_UNITS = {"_s": "seconds", "_bytes": "bytes", "_length": "characters"}


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the file."""

    path: tuple[str, ...]
    """Without numbers of list items."""
    annotation: Any
    """Bare, without its checks."""
    kind: str
    """In words, unit included."""
    choices: tuple[str, ...]
    """The only texts it may have; empty where there is no such list."""
    default: object
    """As TOML has it; None where there is none, or where it follows from other options."""
    required: bool
    why: str
    later: Later | None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path[-1]

    @property
    def unit(self) -> str:
        """What its number counts; empty where it is no measure."""
        return next((unit for end, unit in _UNITS.items() if self.name.endswith(end)), "")

    @property
    def is_list(self) -> bool:
        """Whether it takes a list."""
        return get_origin(self.annotation) is tuple

    @property
    def bare_types(self) -> tuple[object, ...]:
        """The types of a single value."""
        return get_args(self.annotation) or (self.annotation,)

    @property
    def absent(self) -> bool:
        """Whether this version has it in no other way than by its default."""
        return self.later is not None and not self.later.values


@dataclass(frozen=True, slots=True)
class SectionLayout:
    """One table of the file, with the options that stand directly in it."""

    path: tuple[str, ...]
    repeated: bool
    """Written `[[name]]`, any number of times."""
    why: str
    options: tuple[Option, ...]


@cache
def all_sections() -> tuple[SectionLayout, ...]:
    """Return every section in the order of the file."""
    return tuple(_sections(Settings, ()))


@cache
def all_options() -> Mapping[tuple[str, ...], Option]:
    """Return every option by its path."""
    return {option.path: option for section in all_sections() for option in section.options}


def toml_text(value: object) -> str:
    """Return a value as TOML writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return f"[{', '.join(map(toml_text, value))}]"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def nested_section(annotation: object) -> type[Section] | None:
    """Return the section that a field holds, alone or as a list; None for an option."""
    inner = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


def _sections(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[SectionLayout]:
    for name, field in model.model_fields.items():
        section = nested_section(field.annotation)
        if section is None:
            continue
        inner = (*path, name)
        repeated = get_origin(field.annotation) is tuple
        yield SectionLayout(inner, repeated, section.__doc__ or "", tuple(_options(section, inner)))
        yield from _sections(section, inner)
    if not path:
        # Tables a later version brings have no section of their own yet.
        yield SectionLayout((), repeated=False, why="", options=tuple(_options(model, ())))


def _options(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Option]:
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        if nested_section(field.annotation) is None:
            yield _option((*path, name), field, hints[name])


def _option(path: tuple[str, ...], field: FieldInfo, hint: object) -> Option:
    choices = _choices(field.annotation)
    return Option(
        path=path,
        annotation=field.annotation,
        kind=_kind(path[-1], hint, choices),
        choices=choices,
        default=None if field.is_required() else _plain(field.default),
        required=field.is_required(),
        why=" ".join((field.description or "").split()),
        later=_later(field),
    )


def _later(field: FieldInfo) -> Later | None:
    for check in field.metadata:
        if isinstance(check, AfterValidator) and isinstance(check.func, Later):
            return check.func
    return None


def _choices(annotation: object) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return ()


def _kind(name: str, hint: object, choices: tuple[str, ...]) -> str:
    if choices:
        return " or ".join(f'"{choice}"' for choice in choices)
    bare, *checks = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    if get_origin(bare) is tuple:
        return f"list: {_kind('', get_args(bare)[0], ())}"
    for check in checks:
        if isinstance(check, Kind):
            return check.words
    if get_origin(bare) in (Union, UnionType):  # `X | None`: left out or X
        return _kind(name, get_args(bare)[0], choices)
    return _bare_kind(name, bare)


def _bare_kind(name: str, bare: object) -> str:
    if bare is bool:
        return "true or false"
    if bare is int:
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
        return unit or "number"
    if bare is Path:
        return "folder"
    return "text" if bare is str else "table"


def _plain(value: object) -> object:
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case bool() | int() | float() | NoneType():
            return value
        case Mapping():
            return dict(value)
        case _:
            return str(value)
