"""SEAL: bytes on disk that are closed to all who have no key.

ChaCha20-Poly1305 (RFC 8439) under a key that serves once: keyed BLAKE2b of the signing key and a
random salt (RFC 7693; `salt` and `person` are at most 16 bytes), so that the nonce may be zero.

    version 8 bits | key id 8 | salt 128 | encrypted | tag 128

Law: what was sealed is opened by the key that sealed it, and what was altered by none.
"""

import hashlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ledger.token import TokenKey

SALT_BYTES = 16

_VERSION = 1
_HEAD_BYTES = 2 + SALT_BYTES
_NONCE = bytes(12)


class SealError(Exception):
    """What was sealed can not be read; the text says why."""


def seal_bytes(key: TokenKey, person: bytes, plain: bytes, salt: bytes) -> bytes:
    """Return bytes sealed for a purpose; `salt` is random, SALT_BYTES long."""
    head = bytes((_VERSION, key.key_id)) + salt
    return head + _cipher(key, person, salt).encrypt(_NONCE, plain, head)


def open_bytes(keys: Mapping[int, TokenKey], person: bytes, sealed: bytes) -> bytes:
    """Return what was sealed for a purpose with one of the keys.

    Raises SealError.
    """
    head = sealed[:_HEAD_BYTES]
    if len(head) < _HEAD_BYTES or head[0] != _VERSION:
        msg = "it is sealed in a way that is not known"
        raise SealError(msg)
    key = keys.get(head[1])
    if key is None:
        msg = f"it is sealed with key {head[1]}, which is not there"
        raise SealError(msg)
    try:
        return _cipher(key, person, head[2:]).decrypt(_NONCE, sealed[_HEAD_BYTES:], head)
    except InvalidTag:
        msg = f"it is not what key {head[1]} has sealed"
        raise SealError(msg) from None


def _cipher(key: TokenKey, person: bytes, salt: bytes) -> ChaCha20Poly1305:
    # A key of BLAKE2b has at most 64 bytes, and so has a signing key.
    secret = hashlib.blake2b(key=key.secret, digest_size=32, salt=salt, person=person)
    return ChaCha20Poly1305(secret.digest())
