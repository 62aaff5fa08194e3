import pytest

from ledger.address import parse_address
from ledger.redact import Redaction

ANNA = Redaction(parse_address("Anna.Berg@Example.org"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("for anna.berg@example.org.", "for [forgotten]."),
        ("<ANNA.BERG@EXAMPLE.ORG>", "<[forgotten]>"),
        (
            "https://x.example/?to=anna.berg%40example.org&a=1",
            "https://x.example/?to=[forgotten]&a=1",
        ),
        ("joanna.berg@example.org", "joanna.berg@example.org"),
        ("anna.berg@example.org.uk", "anna.berg@example.org.uk"),
        ("anna.berg@example.organic", "anna.berg@example.organic"),
        ("my.anna.berg@example.org", "my.anna.berg@example.org"),
        ("anna@example.org", "anna@example.org"),
        ("", ""),
    ],
)
def test_the_address_goes_and_no_part_of_another(text: str, left: str) -> None:
    assert ANNA.text(text) == left
    assert ANNA.names(text) == (text != left)


def test_values_of_json_are_redacted_all_the_way_down() -> None:
    value = {"anna.berg@example.org": [1, None, True, ("to anna.berg@example.org",)], "n": 2.5}
    assert ANNA.value(value) == {"[forgotten]": [1, None, True, ["to [forgotten]"]], "n": 2.5}
    assert ANNA.text(None) is None
