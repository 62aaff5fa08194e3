"""The example file and the reference, made from the model.

`python -m config.reference` writes config/example.toml and docs/configuration.md.
"""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from config.options import Option, SectionLayout, all_sections, toml_text

EXAMPLE_FILE = Path("config/example.toml")
REFERENCE_FILE = Path("docs/configuration.md")

_WIDTH = 98
_DERIVED = {
    ("database", "url"): "`ledger.db` in `server.state_dir`",
    ("database", "spool_url"): "`spool.db` in `server.state_dir`",
    ("tracking", "base_url"): "`collector.listen`, on this machine",
    ("tracking", "unknown_consent"): '`"individual"` on this machine, else none',
    ("console", "public_url"): "`console.listen`",
    ("privacy", "retain_content_s"): "`0`; `604800` where mail is captured",
}
"""Defaults that follow from other options: config.derive, in words."""
_SAMPLES: Mapping[tuple[str, ...], object] = {
    ("upstream", "host"): "smtp.example.net",
    ("upstream", "username"): "relay@example.com",
    ("relay", "tls", "certificate"): "fullchain.pem",
    ("relay", "tls", "private_key"): "privkey.pem",
    ("collector", "ranges_dir"): "ranges",
    ("upstream", "password_file"): "upstream.password",
    ("upstream", "oauth_client_secret_file"): "",
    ("upstream", "oauth_refresh_token_file"): "",
    ("upstream", "client_certificate_file"): "",
    ("upstream", "client_private_key_file"): "",
    ("tracking", "unknown_consent"): "anonymous",
    ("dkim", "domain"): "example.com",
    ("dkim", "selector"): "relay2026",
    ("dkim", "private_key_file"): "dkim.pem",
    ("tracking_host", "senders"): ["*@a.example"],
    ("tracking_host", "base_url"): "https://t.a.example",
    ("webhook", "url"): "https://hooks.example.com/indicia",
    ("webhook", "secret"): "whsec_ReplaceThisWithYourOwnSecretInBase64",
    ("webhook", "events"): ["email.opened", "email.clicked"],
    ("console", "oidc", "client_secret_file"): "",
    ("rule", "name"): "public sector",
    ("rule", "sender"): "*@sales.example.com",
    ("rule", "account"): "sales",
    ("rule", "recipient"): "*@gov.example",
    ("rule", "mode"): "off",
}
"""What the example shows where a default tells nothing."""
_HEAD = """\
# Indicia's configuration. A line without its `#` is in force; the values shown are the defaults.
# Each key may also be said by the environment: INDICIA_TRACKING__MAX_COPIES=100.
# `indicia check` tells all that is wrong at once. docs/configuration.md says the same as this file.
"""
_INTRODUCTION = """\
# Configuration

Made from `config/settings.py` by `python -m config.reference`; a test holds the two together.

The file is TOML, and `indicia init` writes a commented one.
The first of these is read: `--config FILE`, `$INDICIA_CONFIG`, `./indicia.toml`,
`/etc/indicia/indicia.toml`.
Without any, the defaults below are a sandbox that captures mail under `./var`.

Each key may also be said by the environment, which goes before the file: `INDICIA_SECTION__KEY`.
Lists are separated by commas, `INDICIA_RELAY__LISTEN=127.0.0.1:2525,[::1]:2525`, or written as
TOML writes them.
An item of a repeated table has its number, from 0: `INDICIA_UPSTREAM__0__HOST=smtp.example.net`.

Unknown keys are errors.
All faults are told at once, each with key, line, why and mend.

Relative paths in the file are from its folder.
A name that ends in `_s` counts seconds, in `_bytes` bytes.
Patterns of addresses are shell-like over the whole address: `*` is any run, `?` one character,
and a bare domain means its addresses.
In a list of domains `example.com` is itself and `*.example.com` its subdomains.
"""


def example_text() -> str:
    """Return the commented example file."""
    sections = (section for section in all_sections() if section.path)
    return "\n".join([_HEAD, *("\n".join(_example_section(section)) for section in sections)])


def reference_text() -> str:
    """Return docs/configuration.md."""
    return "\n".join([_INTRODUCTION, *_reference_sections(), "", *_absent(), ""])


def _example_section(section: SectionLayout) -> Iterator[str]:
    name = ".".join(section.path)
    yield from _comment(section.why)
    yield f"#[[{name}]]" if section.repeated else f"[{name}]"
    for option in section.options:
        if option.absent:
            continue
        yield from _comment(option.why)
        yield f"#{option.name} = {toml_text(_SAMPLES.get(option.path, option.default))}"
    yield ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _reference_sections() -> Iterator[str]:
    for section in all_sections():
        if not section.path:
            continue
        name = ".".join(section.path)
        yield f"\n## `{f'[[{name}]]' if section.repeated else f'[{name}]'}`\n"
        yield f"{section.why}\n"
        yield "| key | value | default | what it is, and why to change it |"
        yield "|---|---|---|---|"
        for option in section.options:
            if not option.absent:
                yield _row(option)


def _row(option: Option) -> str:
    why = option.why
    if option.later:
        values = ", ".join(f"`{toml_text(value)}`" for value in option.later.values)
        why = f"{why} Not in this version: {values}."
    return f"| `{option.name}` | {_marked(option)} | {_default(option)} | {why} |"


def _marked(option: Option) -> str:
    if option.choices:
        return ", ".join(f"`{toml_text(choice)}`" for choice in option.choices)
    return option.kind


def _default(option: Option) -> str:
    if option.path in _DERIVED:
        return _DERIVED[option.path]
    if option.required:
        return "none: must be said"
    return "left out" if option.default is None else f"`{toml_text(option.default)}`"


def _absent() -> Iterator[str]:
    yield "## Not in this version\n"
    yield "These are refused, but for their default:\n"
    for section in all_sections():
        for option in section.options:
            if option.absent:
                yield f"- `{'.'.join(option.path)}` {option.why}".rstrip()


def write_files(folder: Path) -> None:
    """Write the example file and the reference into a checkout."""
    (folder / EXAMPLE_FILE).write_text(example_text(), encoding="utf-8")
    (folder / REFERENCE_FILE).write_text(reference_text(), encoding="utf-8")


if __name__ == "__main__":  # pragma: no cover - the test calls what it calls
    write_files(Path())
