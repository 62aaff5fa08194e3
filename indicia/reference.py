"""docs/commands.md, made from the commands.

`python -m indicia.reference` writes it.
"""

from collections.abc import Iterator
from pathlib import Path

import typer

from indicia.main import app

COMMANDS_FILE = Path("docs/commands.md")

_WIDTH = 88
_INTRODUCTION = """\
# Commands

Made from the commands themselves by `python -m indicia.reference`; a test holds the two together.

Every command that prints data takes `--json`: one object a line.
Exit status: 0 done, 1 it did not hold or was not found, 2 usage or configuration error.
What is wrong is told on standard error, in a line each.
"""


def commands_text() -> str:
    """Return docs/commands.md."""
    return "\n".join([_INTRODUCTION, *_commands(typer.main.get_command(app), None)])


def _commands(command: object, parent: typer.Context | None) -> Iterator[str]:
    assert isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup)
    name = command.name if parent is not None else "indicia"
    context = typer.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    yield f"## `{context.command_path}`\n"
    yield f"```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, typer.core.TyperGroup):
        for inner in command.commands.values():
            yield from _commands(inner, context)


def write_file(folder: Path) -> None:
    """Write docs/commands.md into a checkout."""
    (folder / COMMANDS_FILE).write_text(commands_text(), encoding="utf-8")


if __name__ == "__main__":  # pragma: no cover - the test calls what it calls
    write_file(Path())
