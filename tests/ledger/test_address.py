"""Mailboxes: what is one, what is none, which spellings are the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import (
    Address,
    AddressError,
    domain_key,
    matches_account,
    matches_domain,
    matches_pattern,
    parse_address,
)

ATEXT = "abcXYZ059!#$%&'*+/=?^_`{|}~-äÅßΣλς漢😀"
LOCALS = st.one_of(
    st.lists(st.text(ATEXT, min_size=1, max_size=6), min_size=1, max_size=3).map(".".join),
    st.text(ATEXT + ' .,:;<>@()[]"\\', max_size=8).map(
        lambda bare: '"' + re.sub(r'(["\\])', r"\\\1", bare) + '"'
    ),
)
DOMAINS = st.sampled_from(
    [
        *["example.com", "EXAMPLE.com", "a", "x_y.example", "münchen.example", "MÜNCHEN.example"],
        *["xn--mnchen-3ya.example", "straße.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"],
    ]
)
MAILBOXES = st.builds("{}@{}".format, LOCALS, DOMAINS)


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com",
        "first.last+detail@sub.example.com",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        '"a b"@example.com',
        '"a@b"@example.com',
        '"\\"\\\\"@example.com',
        '""@example.com',
        "postmaster@localhost",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        "a@[ipv6:::ffff:192.0.2.1]",
        "jörg@münchen.example",
        "漢字@例え.テスト",
        "a@under_score.example",
        "a@123.example",
        "a@x--y.example",
        "x" * 64 + "@example.com",
        "a@" + ".".join(["d" * 63] * 3) + ".example",
    ],
)
def test_a_mailbox_of_rfc_5321_or_6531_is_read_as_written(text: str) -> None:
    address = parse_address(text)
    assert str(address) == text[: text.rindex("@")] + text[text.rindex("@") :].lower()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("a", "there is no @"),
        ("@example.com", "nothing before or after"),
        ("a@", "nothing before or after"),
        ("a@b@example.com", "needs quotes|need quotes"),
        (".a@example.com", "a dot too many"),
        ("a..b@example.com", "a dot too many"),
        ("a b@example.com", "need quotes"),
        ('"a"b"@example.com', "need quotes"),
        ('"a\\"@example.com', "need quotes"),
        ("<a@example.com>", "is no domain"),
        ("a@-x.example", "is no domain"),
        ("a@x-.example", "is no domain"),
        ("a@x..example", "is no domain"),
        ("a@example.com.", "is no domain"),
        ("a@exa mple.com", "is no domain"),
        ("a@exa/mple.com", "is no domain"),
        ("a@[192.0.2.256]", "no IP address"),
        ("a@[192.0.2]", "no IP address"),
        ("a@[IPv6:192.0.2.1]", "no IP address"),
        ("a@[2001:db8::1]", "no IP address"),
        ("a@[IPv6:fe80::1%eth0]", "no IP address"),
        ("a@[x:y]", "no IP address"),
        ("a\r\n@example.com", "control character"),
        ("a\x00@example.com", "control character"),
        ("a@example.com\n", "control character"),
        ("a\u2028@example.com", "control character"),
        ("a\ud800@example.com", "control character"),
        ("x" * 65 + "@example.com", "over 64 bytes"),
        ("ü" * 33 + "@example.com", "over 64 bytes"),
        ("a@" + ".".join(["d" * 63] * 4) + ".example", "over 255 bytes"),
        ("a@b\uff20c.example", "no domain by IDNA"),
        ("a@b\uff0fc.example", "no domain by IDNA"),
        ("a@\u00ad.example", "no domain by IDNA"),
        ("a@xn--ü.example", "no domain by IDNA"),
    ],
)
def test_what_is_no_mailbox_is_refused_with_its_reason_and_the_mend(text: str, why: str) -> None:
    with pytest.raises(AddressError, match=why) as caught:
        parse_address(text)
    assert caught.value.given == text
    assert re.search(why, caught.value.why)
    assert "write name@example.com" in str(caught.value)


@given(MAILBOXES)
def test_what_is_read_is_read_again_alike(text: str) -> None:
    address = parse_address(text)
    assert parse_address(str(address)) == address


@given(st.text(max_size=30))
def test_any_text_is_a_mailbox_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert not re.search(r"[\x00-\x1f\x7f]", str(address))
    assert address.key.count("@") == 1 or address.local.startswith('"')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A.B@Example.COM", "a.b@example.com"),
        ('"a.b"@example.com', "a.b@example.com"),
        ('"\\a"@example.com', "a@example.com"),
        ('"A B"@example.com', '"a b"@example.com'),
        ("JÖRG@example.com", "jörg@example.com"),
        ("ΑΣ@example.com", "ας@example.com"),
        ("a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"),
        ("a@münchen.example", "a@XN--MNCHEN-3YA.example"),
        ("a@b\u3002example", "a@b.example"),
    ],
)
def test_spellings_of_one_mailbox_have_one_key(one: str, other: str) -> None:
    assert parse_address(one).key == parse_address(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.b@example.com", "ab@example.com"),
        ("a+x@example.com", "a@example.com"),
        ("straße@example.com", "strasse@example.com"),
        ("a@straße.example", "a@strasse.example"),
        ('"a b"@example.com', '"ab"@example.com'),
        ("İ@example.com", "i@example.com"),
    ],
)
def test_different_mailboxes_have_different_keys(one: str, other: str) -> None:
    assert parse_address(one).key != parse_address(other).key


@given(MAILBOXES, st.data())
def test_law_spellings_that_differ_in_case_quotes_or_labels_have_one_key_and_a_key_is_its_own(
    text: str, data: st.DataObject
) -> None:
    address = parse_address(text)
    assert _key_of_key(address.key) == address.key
    local, _, domain = address.key.rpartition("@")
    loud = "".join(
        char.upper() if data.draw(st.booleans()) and len(char.upper()) == 1 else char
        for char in local
    )
    quoted = loud if loud.startswith('"') else f'"{loud}"'
    assert Address(quoted, domain.upper()).key == Address(loud, domain).key == address.key


@given(MAILBOXES, st.text("abX+.", max_size=5))
def test_law_no_detail_changes_the_key_without_detail_and_it_is_its_own(
    text: str, detail: str
) -> None:
    address = parse_address(text)
    key = address.key_without_detail
    assert Address(*_parts(key)).key_without_detail == key
    bare = address.local.removesuffix('"')
    longer = bare + "+" + detail + '"' * address.local.startswith('"')
    if address.local != '""':
        assert Address(longer, address.domain).key_without_detail == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A+news@example.com", "a@example.com"),
        ("a+b+c@example.com", "a@example.com"),
        ("a@example.com", "a@example.com"),
        ("+a@example.com", "+a@example.com"),
        ('"a b+c"@example.com', '"a b"@example.com'),
        ('"a+b c"@example.com', "a@example.com"),
    ],
)
def test_a_denial_is_compared_without_detail(text: str, key: str) -> None:
    assert parse_address(text).key_without_detail == key


def test_only_ascii_travels_without_smtputf8() -> None:
    assert parse_address("a@xn--mnchen-3ya.example").is_ascii
    assert not parse_address("a@münchen.example").is_ascii
    assert not parse_address("ä@example.com").is_ascii


def test_folding_is_its_own_for_every_character() -> None:
    cased = [char for char in map(chr, range(0x80, 0x20000)) if char.casefold() != char]
    assert len(cased) > 1000
    for char in cased:
        key = Address(char, "example.com").key
        assert _key_of_key(key) == key


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "a@example.com", True),
        ("*@example.com", "a@example.com", True),
        ("*@example.com", "a@sub.example.com", False),
        ("*@*.example.com", "a@sub.example.com", True),
        ("*@*.example.com", "a@example.com", False),
        ("example.com", "A@EXAMPLE.com", True),
        ("example.com", "a@sub.example.com", False),
        ("*.example.com", "a@sub.example.com", True),
        ("a?@example.com", "ab@example.com", True),
        ("a?@example.com", "a@example.com", False),
        ("a?@example.com", "abc@example.com", False),
        ("A.B@Example.com", "a.b@example.com", True),
        ("a.b@example.com", "axb@example.com", False),
        ("[ab]@example.com", "a@example.com", False),
        ("a*z@example.com", "a.b.z@example.com", True),
        ('"a.b"@example.com', "a.b@example.com", True),
        ("a.b@example.com", '"a.b"@example.com', True),
        ('"a *"@example.com', '"a b"@example.com', True),
        ("\\a@example.com", "a@example.com", False),
        ("*@münchen.example", "a@xn--mnchen-3ya.example", True),
        ("*@xn--mnchen-3ya.example", "a@MÜNCHEN.example", True),
        ("*@m?nchen.example", "a@münchen.example", True),
        ("*@mün*.example", "a@xn--mnchen-3ya.example", True),
        ("*@m?nchen.example", "a@xn--mnchn-kva.example", False),
        ("jörg@example.com", "JÖRG@example.com", True),
        ("@example.com", "a@example.com", False),
        ("", "a@example.com", False),
        ("*@[192.0.2.1]", "a@[192.0.2.1]", True),
    ],
)
def test_a_pattern_is_shell_like_over_the_whole_address(
    pattern: str, text: str, matches: bool
) -> None:
    assert matches_pattern(pattern, parse_address(text)) is matches


@given(MAILBOXES)
def test_an_address_without_wildcards_is_a_pattern_for_itself(text: str) -> None:
    address = parse_address(text)
    assert matches_pattern(text, address)
    assert matches_pattern(address.key, address)
    assert matches_pattern(f"*@{address.domain}", address)
    assert matches_pattern(address.domain, address)


@pytest.mark.parametrize(
    ("pattern", "account", "matches"),
    [
        ("*@example.com", "A@EXAMPLE.com", True),
        ("example.com", "a@example.com", True),
        ("*@example.com", "a@other.example", False),
        ("robot-?", "Robot-1", True),
        ("robot", "robot-1", False),
        ("*", "robot", True),
        ("example.com", "example.com", True),
    ],
)
def test_an_account_is_matched_as_an_address_or_by_its_name(
    pattern: str, account: str, matches: bool
) -> None:
    assert matches_account(pattern, account) is matches


@pytest.mark.parametrize(
    ("patterns", "domain", "matches"),
    [
        ((), "example.com", False),
        (("example.com",), "EXAMPLE.com", True),
        (("example.com",), "sub.example.com", False),
        (("*.example.com",), "sub.example.com", True),
        (("*.example.com",), "a.b.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "badexample.com", False),
        (("x.example", "example.com"), "example.com", True),
        (("*.münchen.example",), "a.xn--mnchen-3ya.example", True),
        (("xn--mnchen-3ya.example",), "münchen.example", True),
        (("*",), "example.com", False),
        (("exa*.com",), "example.com", False),
    ],
)
def test_a_domain_list_knows_domains_and_subdomains_and_nothing_else(
    patterns: tuple[str, ...], domain: str, matches: bool
) -> None:
    assert matches_domain(patterns, domain) is matches


def test_a_domain_that_has_no_a_label_is_compared_in_lower_case() -> None:
    assert domain_key("XN--Ü") == "xn--ü"


def _parts(key: str) -> tuple[str, str]:
    local, _, domain = key.rpartition("@")
    return local, domain


def _key_of_key(key: str) -> str:
    return Address(*_parts(key)).key
