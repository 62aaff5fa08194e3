from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.token import TokenKey
from relay.mail import Credential
from relay.seal import SALT_BYTES, SealError, open_credential, seal_credential

OLD, NEW = TokenKey(3, b"o" * 32), TokenKey(4, b"n" * 64)
BOTH = {3: OLD, 4: NEW}
SALT = bytes(range(SALT_BYTES))
ANN = Credential("ann@example.com", "correct horse")

words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
credentials = st.builds(Credential, words, words)


@given(
    credentials, st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES), st.sampled_from([OLD, NEW])
)
def test_what_was_sealed_is_opened_by_the_key_that_sealed_it(
    credential: Any, salt: Any, key: Any
) -> None:
    """Law: what was sealed is opened by the key that sealed it, and what was altered by none."""
    assert open_credential(BOTH, seal_credential(key, credential, salt)) == credential


@given(credentials, st.integers(min_value=0), st.integers(1, 255))
def test_what_was_altered_is_opened_by_none(credential: Any, at: Any, by: Any) -> None:
    """Law: what was sealed is opened by the key that sealed it, and what was altered by none."""
    sealed = bytearray(seal_credential(NEW, credential, SALT))
    sealed[at % len(sealed)] ^= by
    with pytest.raises(SealError):
        open_credential(BOTH, bytes(sealed))


def test_a_key_that_signs_no_more_still_opens() -> None:
    sealed = seal_credential(OLD, ANN, SALT)
    assert open_credential(BOTH, sealed) == ANN
    with pytest.raises(SealError, match="key 3, which is not there"):
        open_credential({4: NEW}, sealed)
    with pytest.raises(SealError, match="not what key 3"):
        open_credential({3: TokenKey(3, b"x" * 32)}, sealed)


@pytest.mark.parametrize("sealed", [b"", b"\x01\x04", b"\x02" + bytes(80), bytes(80)])
def test_what_is_no_seal_is_not_opened(sealed: Any) -> None:
    with pytest.raises(SealError):
        open_credential(BOTH, sealed)


def test_neither_the_password_nor_its_length_is_seen() -> None:
    sealed = [seal_credential(NEW, Credential("ann", "p" * n), SALT) for n in (1, 30, 60)]
    assert b"ppp" not in b"".join(sealed)
    assert len({len(one) for one in sealed}) == 1


def test_two_seals_of_one_credential_have_nothing_in_common() -> None:
    one, other = (seal_credential(NEW, ANN, salt) for salt in (SALT, SALT[::-1]))
    assert one[18:] != other[18:]


def test_a_nul_is_in_no_credential() -> None:
    with pytest.raises(ValueError, match="NUL"):
        seal_credential(NEW, Credential("ann", "a\0b"), SALT)
