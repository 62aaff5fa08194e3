"""How this command was called, for lines that people copy."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def command_line() -> str:
    """Return how this command was called, with its configuration, for lines to copy."""
    called = Path(sys.argv[0])
    if called.name != "indicia":
        return "indicia"
    local = called.is_relative_to(Path.cwd())
    words = [os.path.relpath(called) if local else str(called), *_config_option(sys.argv[1:])]
    return shlex.join(words)


def _config_option(words: Sequence[str]) -> Sequence[str]:
    """Return the global option as it was given, before the command."""
    if words and words[0] == "--config":
        return words[:2]
    return words[:1] if words and words[0].startswith("--config=") else ()
