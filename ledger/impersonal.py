"""One address taken out of what admins have said of policy.

Law: what holds goes on to hold for whom it held.  A rule that names just this address finds it by a
digest afterwards (ledger.patterns).
Law: of the history stays who changed which rule when, and a reason without the address.
A pattern that holds for others too and spells the address out stays while it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, null, select, update

from ledger.address import Address
from ledger.audit import OPERATOR
from ledger.consent import digest_of
from ledger.patterns import names_only
from ledger.redact import Redaction
from ledger.schema import policy_changes

WHY = "an address in it is forgotten"
"""The reason of a change that only puts a digest where an address stood."""

_PATTERNS = ("sender", "account", "recipient")


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was done to the history of policy."""

    rows: int
    """Changes that named the address."""
    number: int
    """Of the last change that holds now; 0: there is none, or none was made."""
    under_digest: tuple[str, ...]
    """Rules that hold on for who is forgotten, by name."""


def clear_policy(
    connection: Connection, address: Address, now: datetime, digest_key: bytes
) -> Cleared:
    """Take an address out of all changes, within the caller's transaction."""
    words = _Words(address, digest_of(digest_key, address.key))
    changes = connection.execute(select(policy_changes).order_by(policy_changes.c.number)).all()
    holding = {change.rule: change for change in changes if change.rule is not None}
    number, under_digest = 0, []
    for name, change in holding.items():
        value = words.holding(change.value)
        if value != change.value:
            told = {"at": now, "actor": OPERATOR, "reason": WHY, "rule": name, "value": value}
            statement = insert(policy_changes).values(told).returning(policy_changes.c.number)
            number = int(connection.execute(statement).scalar_one())
            under_digest.append(name)
    # A rule that was said again just now holds by that, and this is history.
    held = {change.number for name, change in holding.items() if name not in under_digest}
    rows = 0
    for change in changes:
        is_held = change.number in held
        value = words.holding(change.value) if is_held else words.past(change.value)
        reason = words.redaction.text(change.reason)
        if (value, reason) != (change.value, change.reason):
            here = policy_changes.c.number == change.number
            said = null() if value is None else value
            connection.execute(update(policy_changes).where(here).values(value=said, reason=reason))
            rows += 1
    return Cleared(rows, number, tuple(sorted(under_digest)))


class _Words:
    """Values of changes without one address."""

    def __init__(self, address: Address, digest: str) -> None:
        self.redaction = Redaction(address)
        self._key = address.key
        self._digest = digest

    def holding(self, value: object) -> Any:  # noqa: ANN401 - whatever JSON has
        """Return a rule that matches whom it matched."""
        if not isinstance(value, Mapping):
            return value
        return {name: self._pattern(name, said) for name, said in value.items()}

    def past(self, value: object) -> Any:  # noqa: ANN401 - whatever JSON has
        """Return a rule that holds no longer, to be read."""
        return self.redaction.value(self.holding(value))

    def _pattern(self, name: str, said: object) -> object:
        if name in _PATTERNS and isinstance(said, str) and names_only(said, self._key):
            return self._digest
        return said
