"""Defaults that follow from other options.

What was said is never changed; what does not follow is left out, and the model refuses it.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from config.kinds import is_loopback, url_host

CAPTURED_CONTENT_S = 604_800
"""A week: long enough to look at what the sandbox captured."""

_DEFAULT_COLLECTOR = "127.0.0.1:8025"
_DEFAULT_CONSOLE = "127.0.0.1:8026"


def derive_defaults(given: Mapping[str, object]) -> dict[str, object]:
    """Return the options with those added that follow from them.

    Stores lie in `state_dir`; URLs lead to where is listened; consent must be said once recipients
    elsewhere can reach the collector; captured mail is kept a while.
    """
    whole = {name: _said(value) for name, value in given.items()}
    for section, defaults in (
        ("database", _stores(whole)),
        ("console", _console(whole)),
        ("tracking", _base(whole)),
        ("privacy", _retention(whole)),
    ):
        _add(whole, section, defaults)
    _add(whole, "tracking", _consent(whole))
    return whole


def _said(value: object) -> object:
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def _add(whole: dict[str, object], section: str, defaults: Mapping[str, object]) -> None:
    said = whole.get(section, {})
    if isinstance(said, Mapping):
        whole[section] = {**defaults, **said}


def _get(whole: Mapping[str, object], section: str, key: str, default: object = None) -> object:
    said = whole.get(section)
    return said.get(key, default) if isinstance(said, Mapping) else default


def _stores(whole: Mapping[str, object]) -> dict[str, object]:
    folder = _get(whole, "server", "state_dir", "var")
    if not isinstance(folder, str | Path):
        return {}
    # Three slashes and a relative path, or four and an absolute one.
    return {
        "url": f"sqlite+aiosqlite:///{Path(folder) / 'ledger.db'}",
        "spool_url": f"sqlite+aiosqlite:///{Path(folder) / 'spool.db'}",
    }


def _console(whole: Mapping[str, object]) -> dict[str, object]:
    listen = _first_listen(_get(whole, "console", "listen"), _DEFAULT_CONSOLE)
    return {"public_url": f"http://{_reachable(listen)}"}


def _base(whole: Mapping[str, object]) -> dict[str, object]:
    listen = _reachable(_first_listen(_get(whole, "collector", "listen"), _DEFAULT_COLLECTOR))
    here = is_loopback(url_host(f"http://{listen}"))
    return {"base_url": f"http://{listen if here else _DEFAULT_COLLECTOR}"}


def _consent(whole: Mapping[str, object]) -> dict[str, object]:
    hosts = whole.get("tracking_host")
    tables = (
        [host for host in hosts if isinstance(host, Mapping)]
        if isinstance(hosts, list | tuple)
        else []
    )
    bases = [_get(whole, "tracking", "base_url"), *(table.get("base_url") for table in tables)]
    if all(is_loopback(url_host(str(base))) for base in bases):
        return {"unknown_consent": "individual"}
    return {}


def _retention(whole: Mapping[str, object]) -> dict[str, object]:
    return {} if whole.get("upstream") else {"retain_content_s": CAPTURED_CONTENT_S}


def _first_listen(listen: object, default: str) -> str:
    first = listen[0] if isinstance(listen, list | tuple) and listen else default
    return str(first)


def _reachable(listen: str) -> str:
    """Return the address by which this machine reaches what listens on every address."""
    host, _, port = listen.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else listen  # noqa: S104 - compared
