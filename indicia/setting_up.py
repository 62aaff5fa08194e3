"""A commented configuration and keys, never over existing ones."""

import os
from pathlib import Path

from config.load import FILE_NAME, load_settings
from config.reference import example_text
from indicia.failure import Failure
from indicia.printing import print_line
from ledger.keys import load_keys


def set_up(folder: Path) -> None:
    """Write configuration and keys into a folder and tell what is next.

    Keys go where the configuration says, also where it was there before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    fresh = _write_new(file, example_text())
    settings = load_settings(file, os.environ)
    ring = load_keys(settings.keys_dir)
    print_line(f"{settings.keys_dir}: key {ring.current.key_id} signs; back the folder up")
    if not fresh:
        msg = f"{file} exists already and is left as it is"
        raise Failure(msg)
    print_line(f"{file}: written; every line is a comment until you change it")
    print_line(f"next: edit it, then run: indicia --config {file} check")


def _write_new(file: Path, text: str) -> bool:
    """Write a file that is not there yet, for its owner alone; tell whether it was not."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    return True
