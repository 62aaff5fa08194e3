"""All that the recipient's page says, in one language: words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """A page that says one thing: its title and its paragraphs."""

    title: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of ours; `{link}` stands for where it leads, `{mask}` for whom it is about."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a button does: what it means, and what stands on it."""

    title: str
    words: str
    """Kept with the consent as what the person was shown."""
    button: str


@dataclass(frozen=True, slots=True)
class Notice:
    """The page at the root."""

    title: str
    what: tuple[str, ...]
    own_words: str
    """Stands over what the operator has written."""
    contact: str
    find: str
    find_help: str
    find_label: str
    find_button: str
    not_ours: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a mail."""

    title: str
    sender: str
    day: str
    recipient: str
    masked: str
    """Why the address is not written out."""
    seen: str
    opened: str
    clicked: str
    machine_opened: str
    machine_clicked: str
    nothing: str
    days_only: str
    state: str
    unknown: str
    granted: str
    denied: str
    """`{day}`: since when."""
    denied_elsewhere: str
    not_known: str
    """The record can not be read, or has nothing of the mail."""
    shared: str
    anonymous: str
    untracked: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language."""

    language: str
    """BCP 47."""
    months: tuple[str, ...]
    date: str
    """Of `{day}`, `{month}`, `{year}`."""
    notice: Notice
    record: Record
    withdraw: Act
    restore: Act
    ask: Act
    """For who must say his address."""
    ask_label: str
    deny: Act
    """On the page that a mail of ours leads to."""
    undo: Act
    not_unsubscribe: str
    withdrawn: Said
    withdrawal_kept: Said
    """It is not on record yet, and holds all the same."""
    asked: Said
    restore_asked: Said
    denied: Said
    undone: Said
    nothing_undone: Said
    confirmation_kept: Said
    code_ended: Said
    not_found: Said
    too_often: Said
    not_kept: Said
    foreign: Said
    back: str
    deny_mail: Mail
    undo_mail: Mail
