"""Whose fault an error is: the store's, or that of what was to be written."""

from sqlalchemy.exc import DatabaseError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


def is_down(error: Exception) -> bool:
    """Tell whether a store could not be read or written, whatever it was asked.

    It is locked, full, unreachable or no database (PEP 249: OperationalError, InternalError, and
    DatabaseError itself); all else would be so again for the same rows only.
    """
    if isinstance(error, OperationalError | InternalError | PoolTimeoutError | OSError):
        return True
    return type(error) is DatabaseError
