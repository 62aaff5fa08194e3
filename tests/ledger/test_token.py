"""Tokens: what is written is read, and nothing else is."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.token import (
    MAX_COPY_ID,
    MAX_SLOT,
    TOKEN_CHARACTERS,
    HitKind,
    Token,
    TokenKey,
    claimed_slot,
    claims_https,
    plan_tokens,
    read_token,
    write_token,
    write_tokens,
)

KEY = TokenKey(7, bytes(range(32)))
OTHER = TokenKey(8, bytes(range(1, 65)))
KEYS = {7: KEY, 8: OTHER}
OPEN = Token(HitKind.OPEN, 7, copy_id=5, slot=0)

TOKENS = st.builds(
    Token,
    kind=st.sampled_from(HitKind),
    key_id=st.sampled_from(sorted(KEYS)),
    copy_id=st.integers(0, MAX_COPY_ID),
    slot=st.integers(0, MAX_SLOT),
    https=st.booleans(),
    html=st.booleans(),
    anonymous=st.booleans(),
)
DESTINATIONS = st.binary(max_size=60)


@given(TOKENS, DESTINATIONS)
def test_what_is_written_is_read(token: Token, destination: bytes) -> None:
    text = write_token(KEYS[token.key_id], token, destination)
    assert read_token(KEYS, token.kind, text, destination) == token
    assert write_token(KEYS[token.key_id], token, destination) == text


@given(TOKENS, DESTINATIONS)
def test_a_token_is_always_36_characters_of_the_url_alphabet(
    token: Token, destination: bytes
) -> None:
    text = write_token(KEYS[token.key_id], token, destination)
    assert re.fullmatch(rb"[A-Za-z0-9_-]{36}", text)
    assert len(text) == TOKEN_CHARACTERS


@given(TOKENS, DESTINATIONS, st.data())
def test_law_only_what_write_token_returned_for_the_same_kind_key_and_destination_is_read(
    token: Token, destination: bytes, data: st.DataObject
) -> None:
    text = write_token(KEYS[token.key_id], token, destination)
    other_kind = HitKind.CLICK if token.kind is HitKind.OPEN else HitKind.OPEN
    assert read_token(KEYS, other_kind, text, destination) is None
    other_place = data.draw(DESTINATIONS.filter(lambda place: place != destination))
    assert read_token(KEYS, token.kind, text, other_place) is None
    assert read_token({}, token.kind, text, destination) is None
    swapped = {7: TokenKey(7, OTHER.secret), 8: TokenKey(8, KEY.secret)}
    assert read_token(swapped, token.kind, text, destination) is None
    place = data.draw(st.integers(0, TOKEN_CHARACTERS - 1))
    char = data.draw(st.sampled_from(b"AZaz09_-+/=\n").filter(lambda char: char != text[place]))
    forged = text[:place] + bytes([char]) + text[place + 1 :]
    assert read_token(KEYS, token.kind, forged, destination) is None


@given(st.lists(st.tuples(TOKENS, DESTINATIONS), max_size=5), st.integers(0, MAX_COPY_ID))
def test_law_written_at_once_they_are_what_write_token_returns_for_each(
    wanted: list[tuple[Token, bytes]], copy_id: int
) -> None:
    plan = plan_tokens([token for token, _ in wanted], [place for _, place in wanted])
    one_by_one = [
        write_token(KEY, token._replace(key_id=7, copy_id=copy_id), place)
        for token, place in wanted
    ]
    assert write_tokens(KEY, copy_id, plan) == b"".join(one_by_one)


@given(TOKENS, DESTINATIONS)
def test_what_a_token_claims_is_seen_without_its_destination(
    token: Token, destination: bytes
) -> None:
    text = write_token(KEYS[token.key_id], token, destination)
    assert claimed_slot(text) == (token.copy_id, token.slot)
    assert claims_https(text) is token.https


@pytest.mark.parametrize("text", [b"", b"A" * 35, b"A" * 35 + b"+", b"A" * 37])
def test_what_has_not_the_form_of_a_token_claims_nothing(text: bytes) -> None:
    assert claimed_slot(text) is None


@pytest.mark.parametrize("mangle", [bytes.lower, bytes.upper, bytes.swapcase])
def test_a_token_whose_case_was_changed_is_not_read(mangle: object) -> None:
    assert callable(mangle)
    assert read_token(KEYS, HitKind.OPEN, mangle(write_token(KEY, OPEN))) is None


@pytest.mark.parametrize(
    "text",
    [b"", b"A" * 35, b"A" * 37, b"A" * 36, b"A" * 36 + b"\n", b"A" * 35 + b"=", b"\xff" * 36],
)
def test_what_has_not_the_form_of_a_token_is_not_read(text: bytes) -> None:
    assert read_token(KEYS, HitKind.OPEN, text) is None


def test_standard_base64_and_junk_are_not_read() -> None:
    text = write_token(KEY, Token(HitKind.OPEN, 7, copy_id=MAX_COPY_ID, slot=MAX_SLOT))
    raw = base64.urlsafe_b64decode(text)
    standard = base64.b64encode(raw)
    assert standard != text
    assert read_token(KEYS, HitKind.OPEN, standard) is None
    assert read_token(KEYS, HitKind.OPEN, text[:35] + b" " + text[35:]) is None


def test_a_token_is_27_bytes_in_the_order_of_the_decision_record() -> None:
    token = Token(HitKind.CLICK, 7, copy_id=0x0102030405060708, slot=0xABC, https=True, html=False)
    raw = base64.urlsafe_b64decode(write_token(KEY, token, b"example.com/"))
    assert raw[:11] == bytes.fromhex("07 0102030405060708 abc1")
    assert raw[11:] == KEY.tag(HitKind.CLICK, raw[:11] + b"example.com/")


@pytest.mark.parametrize(
    "token",
    [
        OPEN._replace(slot=MAX_SLOT + 1),
        OPEN._replace(slot=-1),
        OPEN._replace(copy_id=MAX_COPY_ID + 1),
        OPEN._replace(copy_id=-1),
    ],
)
def test_a_number_that_does_not_fit_is_not_written(token: Token) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        write_token(KEY, token)


@pytest.mark.parametrize(("key_id", "size"), [(256, 32), (-1, 32), (0, 31), (0, 65)])
def test_a_key_has_a_number_of_one_byte_and_32_to_64_secret_bytes(key_id: int, size: int) -> None:
    with pytest.raises(ValueError, match="key"):
        TokenKey(key_id, bytes(size))


def test_a_secret_is_never_shown() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
