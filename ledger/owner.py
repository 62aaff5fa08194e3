"""Whose mail a send is: its sender's, and that of who signed in to send it."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from ledger.schema import events, sends


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who may see what came of his own mail."""

    key: str
    """Address.key, as the sender of an event is kept."""
    account: str
    """As the account is written, which is how a send names it."""


def of_owner_events(owner: Owner) -> ColumnElement[bool]:
    """Return the condition that an event is about a mail of this person."""
    submitted = select(sends.c.send_id).where(sends.c.account == owner.account)
    return or_(events.c.sender_key == owner.key, events.c.send_id.in_(submitted))


def of_owner_sends(owner: Owner) -> ColumnElement[bool]:
    """Return the condition that a send is a mail of this person."""
    # Each send has at least the event of its acceptance, where the sender is kept by key.
    sent = select(events.c.send_id).where(events.c.sender_key == owner.key)
    return or_(sends.c.account == owner.account, sends.c.send_id.in_(sent))
