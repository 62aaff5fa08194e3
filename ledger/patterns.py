"""Whom a pattern of a rule matches, also once he is forgotten.

A rule that names just one address goes on to hold when that address is forgotten: in its place
stands the digest that `ledger.consent` makes of it, which is of no use without the key.
"""

from ledger.address import address_key, matches_account, matches_key
from ledger.consent import digest_of, is_digest

_WILD = frozenset("*?")


def matches_mailbox(pattern: str, key: str, digest_key: bytes | None) -> bool:
    """Tell what matches_key does, of a pattern that may be a digest of who is forgotten."""
    if is_digest(pattern):
        return digest_key is not None and pattern == digest_of(digest_key, key)
    return matches_key(pattern, key)


def matches_signed_in(pattern: str, account: str, digest_key: bytes | None) -> bool:
    """Tell what matches_account does, of a pattern that may be a digest of who is forgotten."""
    if not is_digest(pattern):
        return matches_account(pattern, account)
    key = address_key(account)
    return key is not None and matches_mailbox(pattern, key, digest_key)


def names_only(pattern: str, key: str) -> bool:
    """Tell whether a pattern matches the address of a key and no other."""
    return "@" in pattern and _WILD.isdisjoint(pattern) and matches_key(pattern, key)
