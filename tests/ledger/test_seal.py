"""Bytes that are closed on disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.seal import SALT_BYTES, SealError, open_bytes, seal_bytes
from ledger.token import TokenKey

KEY = TokenKey(3, bytes(range(32)))
OTHER = TokenKey(3, bytes(32))
KEYS = {3: KEY}
SALTS = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)
SALT = bytes(SALT_BYTES)


@given(st.binary(), SALTS)
def test_what_was_sealed_is_opened_by_the_key_that_sealed_it(plain: bytes, salt: bytes) -> None:
    """Law: what was sealed is opened by the key that sealed it, and what was altered by none."""
    sealed = seal_bytes(KEY, b"test", plain, salt)
    assert open_bytes(KEYS, b"test", sealed) == plain
    assert len(plain) < 4 or plain not in sealed[2 + SALT_BYTES :]


@given(st.binary(min_size=1), SALTS, st.data())
def test_what_was_altered_is_opened_by_none(plain: bytes, salt: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal_bytes(KEY, b"test", plain, salt))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealError):
        open_bytes(KEYS, b"test", bytes(sealed))


@pytest.mark.parametrize(
    ("keys", "person", "sealed", "why"),
    [
        (KEYS, b"test", b"", "not known"),
        (KEYS, b"test", b"\x02" + bytes(40), "not known"),
        ({}, b"test", seal_bytes(KEY, b"test", b"x", SALT), "key 3, which is not there"),
        ({3: OTHER}, b"test", seal_bytes(KEY, b"test", b"x", SALT), "not what key 3"),
        (KEYS, b"other", seal_bytes(KEY, b"test", b"x", SALT), "not what key 3"),
    ],
)
def test_what_can_not_be_opened_says_why(
    keys: dict[int, TokenKey], person: bytes, sealed: bytes, why: str
) -> None:
    with pytest.raises(SealError, match=why):
        open_bytes(keys, person, sealed)
