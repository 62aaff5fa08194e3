"""What one may do: roles of people, scopes of tokens."""

from enum import StrEnum


class Role(StrEnum):
    """What a person may see and do."""

    ADMIN = "admin"
    """All there is."""
    AUDITOR = "auditor"
    """See all, the audit log too, and change nothing."""
    USER = "user"
    """See what came of his own mail."""


class Scope(StrEnum):
    """What a token may do."""

    READ = "read"
    """See all."""
    ADMIN = "admin"
    """Change what an admin may change."""
