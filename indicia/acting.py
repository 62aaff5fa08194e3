"""The operator: whoever runs commands, or reads what they print."""

from datetime import UTC, datetime

from config.settings import Settings
from ledger.audit import OPERATOR as OPERATOR_NAME
from ledger.audit import Author
from ledger.keys import load_audit_key
from ledger.role import Role
from ledger.sessions import Person

OPERATOR = Person(OPERATOR_NAME, Role.ADMIN)
"""Who signs in by a link that is for nobody's account."""


def operator(settings: Settings) -> Author:
    """Return the operator as the author of a change, now.  Raises KeyFileError."""
    return Author(OPERATOR_NAME, datetime.now(UTC), load_audit_key(settings.keys_dir))
