"""Passwords, by the real hash: each case costs a tenth of a second."""

import time
import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters

from ledger.password import (
    _NOBODY,
    MAX_PASSWORD_BYTES,
    PasswordError,
    hash_password,
    needs_rehash,
    verify_password,
)

WORD = "Käsekuchen\u00a0mit Ähre"


def test_a_password_is_right_for_its_hash_in_any_unicode_form_and_no_other_is() -> None:
    # Law: what hash_password took is right for its hash, in any Unicode form; nothing else is.
    kept = hash_password(WORD)
    assert kept != hash_password(WORD)
    for form in ("NFC", "NFD"):
        assert verify_password(kept, unicodedata.normalize(form, WORD))  # type: ignore[arg-type]
    assert verify_password(kept, WORD.replace("\u00a0", " "))
    for wrong in ("", WORD.lower(), WORD + " "):
        assert not verify_password(kept, wrong)
    assert not needs_rehash(kept)


def test_nobody_has_a_password_and_what_is_no_hash_lets_nobody_in() -> None:
    assert not verify_password(None, WORD)
    assert not verify_password("", WORD)
    assert not verify_password("$argon2id$broken", WORD)


def test_a_hash_for_nobody_costs_what_every_other_costs() -> None:
    assert extract_parameters(_NOBODY) == extract_parameters(hash_password(WORD))


def test_an_unknown_person_costs_as_much_time_as_a_wrong_password() -> None:
    # Law: an unknown person costs as much time as a wrong password.
    kept = hash_password(WORD)
    took: dict[str | None, list[float]] = {None: [], kept: []}
    for _ in range(2):
        for each, times in took.items():
            began = time.process_time()
            assert not verify_password(each, "wrong password")
            times.append(time.process_time() - began)
    assert 0.5 < min(took[None]) / min(took[kept]) < 2


def test_a_hash_of_other_costs_is_right_and_to_be_made_anew() -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")
    assert verify_password(cheap, "correct horse")
    assert needs_rehash(cheap)


@pytest.mark.parametrize(
    ("text", "why"), [("", "fewer than 8"), ("seven77", "fewer"), ("x" * 1025, "over 1024 bytes")]
)
def test_too_short_and_too_long_are_refused_with_the_mend(text: str, why: str) -> None:
    with pytest.raises(PasswordError, match=why):
        hash_password(text)


def test_a_text_that_no_password_can_be_is_compared_and_wrong() -> None:
    kept = hash_password("x" * MAX_PASSWORD_BYTES)
    assert verify_password(kept, "x" * MAX_PASSWORD_BYTES)
    assert not verify_password(kept, "x" * (MAX_PASSWORD_BYTES + 1))
    assert not verify_password(kept, "\ud800" * 9)
