"""How a configuration is found and read.

Defaults, then the file, then the environment.  All faults are told at once.
"""

import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path

from pydantic import ValidationError

from config.contradict import contradictions
from config.environment import FILE_VARIABLE, put_variable, read_environment
from config.faults import ConfigError, Fault, Places, fault_at, faults_of
from config.locate import KeyPath, key_text, locate_keys
from config.settings import Settings

FILE_NAME = "indicia.toml"
SYSTEM_FILE = Path("/etc/indicia/indicia.toml")

_SQLITE = "sqlite+aiosqlite:///"
_ROUNDS = 3
"""What is faulty is taken out, then what is missing by that is stood in for, then all is right."""
_STAND_INS: Mapping[object, object] = {
    "host": "localhost",
    "name": "?",
    "senders": ["*"],
    "base_url": "http://127.0.0.1",
    "unknown_consent": "off",
    "domain": "localhost",
    "selector": "x",
    "private_key_file": "?",
    "url": "https://localhost",
    "secret": f"whsec_{'A' * 32}",
}
"""So that the rest of a table that lacks a required key is looked at too."""


def find_file(given: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """Return the file to read: given, `$INDICIA_CONFIG`, the folder's, the system's, or none."""
    if given is not None:
        return given
    if environ.get(FILE_VARIABLE):
        return Path(environ[FILE_VARIABLE])
    return next((path for path in (folder / FILE_NAME, SYSTEM_FILE) if path.is_file()), None)


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the options of a file, or the sandbox's without one, and of the environment.

    Relative paths of the file are from its folder.  Raises ConfigError with every fault.
    """
    source = "environment" if file is None else str(file)
    text = "" if file is None else _read_text(file)
    try:
        whole: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [_syntax_fault(error)]) from error
    lines = locate_keys(text)
    if file is not None:
        _resolve_paths(whole, file.parent)
    variables = read_environment(environ)
    misplaced = [fault for variable in variables if (fault := put_variable(whole, variable))]
    places = Places(lines, {variable.path: variable.name for variable in variables})
    settings, faults = _validate(whole, places)
    if settings is None or faults or misplaced:
        raise ConfigError(source, (*misplaced, *faults))
    return settings


def _validate(whole: dict[str, object], places: Places) -> tuple[Settings | None, list[Fault]]:
    """Return the settings, or what is left of them without what is faulty, and all faults."""
    faults: list[Fault] = []
    left = deepcopy(whole)
    for _ in range(_ROUNDS):
        try:
            settings = Settings.model_validate(left)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not faults:
                faults = faults_of(errors, places)
            _take_out(left, [details["loc"] for details in errors])
        else:
            return settings, [*faults, *_contradictions(settings, places, faults)]
    return None, faults  # pragma: no cover - a net; only contradictions would be untold


def _contradictions(settings: Settings, places: Places, faults: Iterable[Fault]) -> list[Fault]:
    """Return what contradicts, but for options with a fault of their own."""
    told = tuple(fault.key for fault in faults)
    return [
        fault_at(found.path, places, found.why, found.mend)
        for found in contradictions(settings)
        if not any(key_text(path).startswith(told) for path in (found.path, found.beside))
    ]


def _take_out(whole: dict[str, object], paths: Iterable[KeyPath]) -> None:
    """Remove the values at the paths, and whole lists, so that no other item changes its number.

    A required key gets a stand-in.
    """
    for path in paths:
        cut = path
        while isinstance(cut[-1], int):
            cut = cut[:-1]
        here: object = whole
        for part in cut[:-1]:
            here = _inside(here, part)
        if isinstance(here, dict) and here.pop(cut[-1], None) is None and cut[-1] in _STAND_INS:
            here[cut[-1]] = _STAND_INS[cut[-1]]


def _inside(here: object, part: str | int) -> object:
    if isinstance(here, dict):
        return here.setdefault(part, {})
    return here[part] if isinstance(here, list) and isinstance(part, int) else None


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        fault = Fault("", "", f"can not be read ({error.strerror})", "name another file")
        raise ConfigError(str(file), [fault]) from error
    except UnicodeDecodeError as error:
        fault = Fault("", "", f"is not UTF-8 (byte {error.start})", "save it as UTF-8")
        raise ConfigError(str(file), [fault]) from error


def _syntax_fault(error: tomllib.TOMLDecodeError) -> Fault:
    why, _, place = str(error).partition(" (at ")
    mend = "mend this line; texts stand in quotes"
    return Fault("", place.rstrip(")"), f"is not TOML: {why[:1].lower()}{why[1:]}", mend)


def _resolve_paths(whole: dict[str, object], folder: Path) -> None:
    server = whole.setdefault("server", {})
    if isinstance(server, dict):
        _resolve(server, "state_dir", folder, "var")
    relay = whole.get("relay")
    tls = relay.get("tls") if isinstance(relay, dict) else None
    console = whole.get("console")
    named = (
        (tls, "certificate"),
        (tls, "private_key"),
        (whole.get("collector"), "ranges_dir"),
        (console.get("oidc") if isinstance(console, dict) else None, "client_secret_file"),
    )
    for table, key in named:
        if isinstance(table, dict) and table.get(key):
            _resolve(table, key, folder)
    for table in (*_tables(whole.get("upstream")), *_tables(whole.get("dkim"))):
        for key in list(table):
            if key.endswith("_file") and table[key]:
                _resolve(table, key, folder)
    for database in _tables([whole.get("database")]):
        for key in ("url", "spool_url"):
            url = database.get(key)
            if isinstance(url, str) and url.startswith(_SQLITE):
                database[key] = f"{_SQLITE}{folder / url.removeprefix(_SQLITE)}"


def _resolve(table: dict[str, object], key: str, folder: Path, default: str = "") -> None:
    value = table.get(key, default)
    if isinstance(value, str):
        table[key] = str(folder / value)


def _tables(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
