"""What the sender asks for by header fields: it may only narrow.

Our own fields and those of every dialect of relay.dialect are read.  Unknown, empty or broken
values have no effect and are told by `explain`; of the same field twice both hold.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from relay.dialect import METADATA_PREFIXES, READERS, Meaning, Reader, Unread

MAX_NOTES = 50
"""Tags and metadata a send may have together: a page shows them, and each event carries them."""
MAX_NOTE = 500
"""Characters of a tag, a key or a value; Mailgun takes 128 of a tag, Postmark 80 of a value."""

_SHOWN = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_KNOWN = {name.lower(): (name, reader) for name, reader in READERS.items()}


@dataclass(frozen=True, slots=True)
class Control:
    """One control field of a message."""

    field_name: str
    """As its system spells it."""
    value: str
    """As given, on one line, shortened."""
    meaning: Meaning
    """What it has effect on, be it nothing."""
    ignored: str = ""
    """Why all of it, or what it notes, has no effect; empty where all has."""


def is_own_control(field_name: str) -> bool:
    """Tell whether a field is one of ours, which never leaves the relay."""
    return field_name.lower().startswith("x-indicia-")


def is_control(field_name: str) -> bool:
    """Tell whether a field is a control, known or misspelt."""
    return _reader_of(field_name) is not None


def read_controls(fields: Iterable[tuple[str, str]]) -> tuple[Control, ...]:
    """Return the controls among header fields, given as names and unfolded values, in order."""
    found: list[Control] = []
    taken: set[str] = set()
    for name, value in fields:
        control = _read_control(name, value.strip())
        if control is not None:
            # A key is kept with a mark no tag has, so that neither hides the other.
            notes = {*control.meaning.tags, *(f"{key}\0" for key, _ in control.meaning.metadata)}
            found.append(_without_excess(control, notes, taken))
            taken |= notes if not found[-1].ignored else set()
    return tuple(found)


def _without_excess(control: Control, notes: set[str], taken: set[str]) -> Control:
    """Return the control without its notes where they can not be kept; it narrows all the same."""
    meaning = control.meaning
    texts = [*meaning.tags, *(text for pair in meaning.metadata for text in pair)]
    if any(len(text) > MAX_NOTE for text in texts):
        why = f"has a tag, key or value of over {MAX_NOTE} characters"
    elif len(notes | taken) > MAX_NOTES:
        why = f"would make more than {MAX_NOTES} tags and metadata"
    elif any(f"{key}\0" in taken for key, _ in meaning.metadata):
        why = "names a key of metadata again"
    else:
        return control
    return replace(control, meaning=replace(meaning, tags=(), metadata=()), ignored=why)


def _read_control(name: str, value: str) -> Control | None:
    known = _reader_of(name)
    if known is None:
        return None
    spelled, reader = known
    meaning = reader(value) if value else Unread("is empty")
    shown = _CONTROL.sub(" ", value)[:_SHOWN]
    if isinstance(meaning, Unread):
        return Control(spelled, shown, Meaning(), meaning.why)
    return Control(spelled, shown, meaning)


def _reader_of(name: str) -> tuple[str, Reader] | None:
    """Return a field's name as its system spells it, and what reads it."""
    known = _KNOWN.get(name.lower())
    if known is not None:
        return known
    for prefix in METADATA_PREFIXES:
        if name.lower().startswith(prefix.lower()) and (key := name[len(prefix) :]):
            return prefix + key, lambda value: Meaning(metadata=((key, value),))
    # A field of ours that is misspelt would else vanish without a word.
    return (name, lambda _: Unread("is no field known here")) if is_own_control(name) else None
