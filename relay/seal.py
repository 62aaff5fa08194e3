"""SEAL: a person's credential in the spool, closed to all but us.

ChaCha20-Poly1305 (RFC 8439) under a key that serves once: keyed BLAKE2b of the signing key and a
random salt (RFC 7693; `salt` and `person` are at most 16 bytes), so that the nonce may be zero.

    version 8 bits | key id 8 | salt 128 | encrypted: username, NUL, password, NULs | tag 128

Law: what was sealed is opened by the key that sealed it, and what was altered by none.
"""

import hashlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ledger.token import TokenKey
from relay.mail import Credential

SALT_BYTES = 16

_VERSION = 1
_HEAD_BYTES = 2 + SALT_BYTES
_PERSON = b"indicia seal"
_NONCE = bytes(12)

_STEP_BYTES = 64
"""What is sealed is filled up to a multiple, so that the length of a password can not be seen."""


class SealError(Exception):
    """A credential can not be read; the text says why, in words for the queue."""


def seal_credential(key: TokenKey, credential: Credential, salt: bytes) -> bytes:
    """Return a credential as the spool keeps it; `salt` is random, SALT_BYTES long.

    Raises ValueError where a NUL is in the credential, which RFC 4616 2 has in none.
    """
    words = (credential.username, credential.password)
    if any("\0" in word for word in words):
        msg = "a credential has a NUL"
        raise ValueError(msg)
    plain = "\0".join(words).encode()
    filled = plain + bytes(-len(plain) % _STEP_BYTES)
    head = bytes((_VERSION, key.key_id)) + salt
    return head + _cipher(key, salt).encrypt(_NONCE, filled, head)


def open_credential(keys: Mapping[int, TokenKey], sealed: bytes) -> Credential:
    """Return the credential that was sealed with one of the keys.

    Raises SealError.
    """
    head = sealed[:_HEAD_BYTES]
    if len(head) < _HEAD_BYTES or head[0] != _VERSION:
        msg = "the credential is sealed in a way that is not known"
        raise SealError(msg)
    key = keys.get(head[1])
    if key is None:
        msg = f"the credential is sealed with key {head[1]}, which is not there"
        raise SealError(msg)
    try:
        plain = _cipher(key, head[2:]).decrypt(_NONCE, sealed[_HEAD_BYTES:], head)
    except InvalidTag:
        msg = f"the credential is not what key {head[1]} has sealed"
        raise SealError(msg) from None
    username, _, password = plain.rstrip(b"\0").partition(b"\0")
    return Credential(username.decode(), password.decode())


def _cipher(key: TokenKey, salt: bytes) -> ChaCha20Poly1305:
    # A key of BLAKE2b has at most 64 bytes, and so has a signing key.
    secret = hashlib.blake2b(key=key.secret, digest_size=32, salt=salt, person=_PERSON)
    return ChaCha20Poly1305(secret.digest())
