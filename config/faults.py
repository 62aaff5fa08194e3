"""What is wrong with a configuration: key, place, why and the mend."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from config.locate import KeyPath, key_text
from config.options import Option, all_options, all_sections, toml_text

_MEASURE = re.compile(r"(\d+)\s*([a-zA-Z]+)")
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {
    "b": 1,
    "k": 1024,
    "kb": 1024,
    "kib": 1024,
    "m": 1 << 20,
    "mb": 1 << 20,
    "mib": 1 << 20,
    "g": 1 << 30,
    "gb": 1 << 30,
    "gib": 1 << 30,
}
_MISSING = {
    "unknown_consent": (
        "is not said, and recipients elsewhere can reach base_url",
        'write "off", "anonymous", "shared" or "individual" for those with no consent on record',
    )
}
"""What to say where a key is missing that needs more words."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend."""

    key: str
    """`relay.listen[0]`; empty where it is the file itself."""
    place: str
    """`line 12`, the name of an environment variable, or empty where nothing was said."""
    why: str
    mend: str

    def __str__(self) -> str:
        where = ", ".join(word for word in (self.key, self.place) if word)
        return f"{where}: {self.why}; {self.mend}"


class ConfigError(Exception):
    """A configuration can not be used; the text has a line for each fault."""

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        """Keep where the configuration came from, and all that is wrong with it."""
        self.source = source
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{source}: {fault}" for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Places:
    """Where each value was said."""

    lines: Mapping[KeyPath, int]
    variables: Mapping[KeyPath, str]

    def of(self, path: KeyPath) -> str:
        """Return the place of a value, or of the nearest table or list around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.variables:
                return self.variables[path[:end]]
            if path[:end] in self.lines:
                return f"line {self.lines[path[:end]]}"
        return ""


def fault_at(path: KeyPath, places: Places, why: str, mend: str) -> Fault:
    """Return the fault of the value at `path`."""
    return Fault(key_text(path), places.of(path), why, mend)


def faults_of(errors: Iterable[ErrorDetails], places: Places) -> list[Fault]:
    """Return a fault for each error of the model."""
    errors = list(errors)
    inner = {error["loc"][:-1] for error in errors}
    # A list whose items are all refused is told to be too short as well.
    return [
        fault_at(error["loc"], places, *_told(error))
        for error in errors
        if not (error["type"] == "too_short" and error["loc"] in inner)
    ]


def option_at(path: KeyPath) -> Option | None:
    """Return the option that a path leads to or into."""
    names = tuple(part for part in path if isinstance(part, str))
    return all_options().get(names)


def _told(error: ErrorDetails) -> tuple[str, str]:
    """Return why, and the mend."""
    return _TELLERS.get(error["type"], _tell_no_table)(error, option_at(error["loc"]))


def _tell_refused(error: ErrorDetails, _option: Option | None) -> tuple[str, str]:
    return error["ctx"]["why"], error["ctx"]["mend"]


def _tell_unknown(error: ErrorDetails, _option: Option | None) -> tuple[str, str]:
    return "is unknown", _mend_unknown(error["loc"])


def _tell_missing(error: ErrorDetails, option: Option | None) -> tuple[str, str]:
    name = str(error["loc"][-1])
    mend = f"write {name} = … ({option.kind if option else 'a value'})"
    return _MISSING.get(name, ("is missing", mend))


def _tell_number(error: ErrorDetails, option: Option | None) -> tuple[str, str]:
    return "is not a number", _mend_number(option, error["input"])


def _tell_small(error: ErrorDetails, _option: Option | None) -> tuple[str, str]:
    least = error["ctx"]["ge"]
    return f"is below {least}", f"write {least} or more"


def _tell_large(error: ErrorDetails, _option: Option | None) -> tuple[str, str]:
    most = error["ctx"]["le"]
    return f"is over {most}", f"write {most} or less"


def _tell_switch(_error: ErrorDetails, option: Option | None) -> tuple[str, str]:
    return "is not true or false", f"write {_default(option, 'true')} without quotes"


def _tell_choice(error: ErrorDetails, option: Option | None) -> tuple[str, str]:
    choices = option.choices if option else ()
    near = difflib.get_close_matches(str(error["input"]).lower(), choices, 1)
    names = ", ".join(toml_text(choice) for choice in choices)
    mend = toml_text(near[0]) if near else _default(option, "one of them")
    return f"is none of {names}", f"write {mend}"


def _tell_no_text(error: ErrorDetails, _option: Option | None) -> tuple[str, str]:
    scalar = isinstance(error["input"], int | float)
    return (
        "is not a text",
        f"write {toml_text(str(error['input']))}" if scalar else "write one text",
    )


def _tell_empty(_error: ErrorDetails, option: Option | None) -> tuple[str, str]:
    return "is empty", f"write {_default(option, 'a text')}"


def _tell_no_list(error: ErrorDetails, option: Option | None) -> tuple[str, str]:
    if option is None:
        return "is not a list of tables", f"write [[{key_text(error['loc'])}]]"
    item = toml_text(error["input"]) if isinstance(error["input"], str) else "…"
    return "is not a list", f"write [{item}]"


def _tell_no_table(error: ErrorDetails, _option: Option | None) -> tuple[str, str]:
    names = ".".join(part for part in error["loc"] if isinstance(part, str))
    header = f"[[{names}]]" if isinstance(error["loc"][-1], int) else f"[{names}]"
    return "is not a table", f"write {header} and its keys below"


_TELLERS = {
    "refused": _tell_refused,
    "extra_forbidden": _tell_unknown,
    "missing": _tell_missing,
    "int_type": _tell_number,
    "greater_than_equal": _tell_small,
    "less_than_equal": _tell_large,
    "bool_type": _tell_switch,
    "literal_error": _tell_choice,
    "enum": _tell_choice,
    "string_type": _tell_no_text,
    "path_type": _tell_no_text,
    "string_too_short": _tell_empty,
    "too_short": _tell_empty,
    "tuple_type": _tell_no_list,
}
"""By pydantic's names for what can go wrong here; all else is a table that is none."""


def _default(option: Option | None, otherwise: str) -> str:
    return otherwise if option is None or option.default is None else toml_text(option.default)


def _mend_number(option: Option | None, given: object) -> str:
    """Return what to write; a measure with its unit is counted out."""
    unit = option.unit if option else ""
    match = _MEASURE.fullmatch(given.strip()) if isinstance(given, str) else None
    sizes = {"seconds": _SECONDS, "bytes": _BYTES}.get(unit, {})
    factor = sizes.get(match[2].lower()) if match else None
    if match and factor:
        return f"write {int(match[1]) * factor}, in {unit}"
    if isinstance(given, str) and given.strip().isascii() and given.strip().isdigit():
        return f"write {int(given)} without quotes"
    return f"write {_default(option, 'a number')}{f', in {unit}' if unit else ''}"


def _mend_unknown(path: KeyPath) -> str:
    names = tuple(part for part in path if isinstance(part, str))
    *outer, name = names
    homes = [key_text(key[:-1]) for key in all_options() if key[-1] == name and len(key) > 1]
    if homes:
        return f"it belongs to [{'] or ['.join(homes)}]"
    siblings = [key[-1] for key in _known() if key[:-1] == tuple(outer)]
    if near := difflib.get_close_matches(name, siblings, 1, cutoff=0.7):
        return f"did you mean {near[0]}?"
    return "remove it; docs/configuration.md has every key"


def _known() -> list[tuple[str, ...]]:
    sections = [section.path for section in all_sections() if section.path]
    return [*sections, *all_options()]
