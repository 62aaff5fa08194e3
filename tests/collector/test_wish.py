import secrets
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.wish import (
    CODE_LASTS,
    MAX_CODE,
    Confirmation,
    Wish,
    WishKind,
    open_wish,
    read_code,
    seal_wish,
    write_code,
)
from ledger.keys import KeyRing
from ledger.seal import SealError
from ledger.token import TokenKey

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = TokenKey(3, b"k" * 32)
RING = KeyRing({3: KEY}, KEY)
OTHER = KeyRing({3: TokenKey(3, b"o" * 32)}, TokenKey(3, b"o" * 32))
SALTS = st.binary(min_size=16, max_size=16)
WISHES = st.builds(
    Wish,
    wish_id=st.just("W" * 26),
    at=st.just(AT),
    kind=st.sampled_from(WishKind),
    language=st.sampled_from(["en", "de", "sv"]),
    copy_id=st.none() | st.integers(0, 2**63 - 1),
    address=st.text(st.characters(exclude_categories=["Cs"])),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    up_to=st.integers(0, 2**63 - 1),
)


@given(wish=WISHES, salt=SALTS)
def test_law_open_wish_gives_a_wish_back(wish: Wish, salt: bytes) -> None:
    """Law: open_wish gives it back."""
    assert open_wish(RING, seal_wish(RING, wish, salt)) == wish


def test_on_disk_neither_address_nor_words_can_be_read() -> None:
    wish = Wish("W" * 26, AT, WishKind.ASK, "en", 7, "canary@example.org", "canary words")
    sealed = seal_wish(RING, wish, bytes(16))
    assert b"canary" not in sealed.sealed
    with pytest.raises(SealError):
        open_wish(OTHER, sealed)


@given(
    kind=st.sampled_from([WishKind.DENY, WishKind.UNDO]),
    address=st.text(st.characters(exclude_categories=["Cs"]), max_size=320),
    up_to=st.integers(0, 2**63 - 1),
    salt=SALTS,
)
def test_law_read_code_gives_a_confirmation_back(
    kind: WishKind, address: str, up_to: int, salt: bytes
) -> None:
    """Law: read_code gives it back, and no other text gives anything."""
    confirmation = Confirmation(kind, address, AT, up_to)
    code = write_code(RING, confirmation, salt)
    assert code.replace("-", "").replace("_", "").isalnum()
    if len(code) <= MAX_CODE:
        assert read_code(RING, code.encode(), AT) == confirmation
    assert read_code(OTHER, code.encode(), AT) is None


@given(place=st.integers(0, 300), letter=st.sampled_from("AQgw_-5"))
def test_law_no_other_text_gives_anything(place: int, letter: str) -> None:
    code = write_code(RING, Confirmation(WishKind.DENY, "b@example.org", AT), bytes(16))
    place %= len(code) - 1  # the last character has bits that say nothing
    altered = code[:place] + letter + code[place + 1 :]
    if altered != code:
        assert read_code(RING, altered.encode(), AT) is None


def test_a_code_holds_for_a_week() -> None:
    code = write_code(
        RING, Confirmation(WishKind.DENY, "b@example.org", AT), secrets.token_bytes(16)
    )
    assert read_code(RING, code.encode(), AT + CODE_LASTS) is not None
    assert read_code(RING, code.encode(), AT + CODE_LASTS + timedelta(seconds=1)) is None


@pytest.mark.parametrize("code", [b"", b"x", b"=" * 9, b"%%%", b"A" * 60, b"A" * 99_999, b"\xff"])
def test_what_is_no_code_gives_nothing(code: bytes) -> None:
    assert read_code(RING, code, AT) is None
