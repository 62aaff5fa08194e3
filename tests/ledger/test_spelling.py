import pytest

from ledger.spelling import tell_oddness


@pytest.mark.parametrize(
    "address", ["anna@example.com", "anna@host.test", "anna.b+c@sub.example.org", "jörg@example.de"]
)
def test_an_ordinary_address_is_not_odd(address: str) -> None:
    assert tell_oddness(address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("anna@localhost", "period"),
        ("anna@[192.0.2.1]", "bracket"),
        ('"anna b"@example.com', "Quoting"),
        ("anna@example..com", "period"),
    ],
)
def test_what_was_probably_not_meant_is_told(address: str, why: str) -> None:
    told = tell_oddness(address)
    assert told is not None
    assert why in told
