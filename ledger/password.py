"""Passwords: how they are hashed and compared.

Argon2id (RFC 9106); a call takes some tens of milliseconds and 64 MB, so it belongs into a thread.
Law: an unknown person costs as much time as a wrong password.
"""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_PASSWORD_CHARS = 8
"""NIST SP 800-63B 5.1.1.2: at least 8 characters, and no rules on which."""
MAX_PASSWORD_BYTES = 1024
"""More than any passphrase, and nothing that costs time to normalise."""

# RFC 9106 4, second recommended option: 64 MiB, three passes; argon2-cffi's default as well.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)

# Of 32 random bytes that nobody has kept, with the same costs.
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$"
    "QjUPmJwuRi6kI9/TwPPa/g$demj4qDn39KEmXquDuX7+4yw4uBv5W0m5pwjLFbTDTw"
)


class PasswordError(ValueError):
    """A text that can be no password; the text says why, and the mend."""


def hash_password(text: str) -> str:
    """Return the hash under which a password is kept, salt and costs in it.

    Raises PasswordError where it is too short or too long.
    """
    prepared = _prepared(text)
    if len(prepared) < MIN_PASSWORD_CHARS:
        msg = f"the password has fewer than {MIN_PASSWORD_CHARS} characters; choose a longer one"
        raise PasswordError(msg)
    if len(prepared.encode()) > MAX_PASSWORD_BYTES:
        msg = f"the password is over {MAX_PASSWORD_BYTES} bytes; choose a shorter one"
        raise PasswordError(msg)
    return _HASHER.hash(prepared)


def verify_password(password_hash: str | None, text: str) -> bool:
    """Tell whether this is the password that was hashed; None is nobody's and never right.

    Law: what hash_password took is right for its hash, in any Unicode form; nothing else is.
    """
    prepared = _prepared(text)
    if len(prepared.encode()) > MAX_PASSWORD_BYTES:
        prepared = ""  # right for no hash, and compared all the same
    try:
        right = _HASHER.verify(_NOBODY if password_hash is None else password_hash, prepared)
    except (VerificationError, InvalidHashError):
        return False
    return right and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Tell whether a hash was made with other costs than those of today."""
    return _HASHER.check_needs_rehash(password_hash)


def _prepared(text: str) -> str:
    # RFC 8265 4.2.2, OpaqueString: every space is U+0020, and NFC; case stands as it is.
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)
    return unicodedata.normalize("NFC", spaced.encode("utf-8", "replace").decode())
