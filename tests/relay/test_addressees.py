"""Whom To and Cc name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import parse_address
from relay.addressees import named_keys


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("", []),
        ("a@x.example", ["a@x.example"]),
        ("A@X.example", ["a@x.example"]),
        ("a@x.example, b@x.example", ["a@x.example", "b@x.example"]),
        ("Ann <a@x.example>,Bob<b@x.example>", ["a@x.example", "b@x.example"]),
        ('"Ann, the first" <a@x.example>', ["a@x.example"]),
        ('"Ann \\" <no@x.example>" <a@x.example>', ["a@x.example"]),
        ("Ann (at work, <no@x.example>) <a@x.example>", ["a@x.example"]),
        ("a@x.example (Ann (the first), no@x.example)", ["a@x.example"]),
        ("(a \\) b@x.example) a@x.example", ["a@x.example"]),
        ("a @ x . example", ["a@x.example"]),
        ("< a@x.example >", ["a@x.example"]),
        ("Ann <@r.example,@s.example:a@x.example>", ["a@x.example"]),
        ("team: a@x.example, Bob <b@x.example>;", ["a@x.example", "b@x.example"]),
        ("undisclosed-recipients:;", []),
        ("undisclosed recipients: ;, c@x.example", ["c@x.example"]),
        ("one: a@x.example; two: b@x.example;", ["a@x.example", "b@x.example"]),
        ("a@x.example; b@x.example", ["a@x.example", "b@x.example"]),
        ("=?utf-8?q?M=C3=BCller=2C_Anna?= <a@x.example>", ["a@x.example"]),
        ("=?utf-8?b?QW5uYSA8YUB4LmV4YW1wbGU+?=", ["a@x.example"]),
        ("=?utf-8?q?a=40x=2Eexample?=, b@x.example", ["a@x.example", "b@x.example"]),
        ("=?no-such-charset?q?a=40x=2Eexample?=", []),
        ("=?iso-8859-é1?q?a=40x=2Eexample?=, b@x.example", ["b@x.example"]),
        ("=?utf-8?b?Q?=", []),
        ("Müller <jörg@münchen.example>", ["jörg@xn--mnchen-3ya.example"]),
        ('"a b"@x.example', ['"a b"@x.example']),
        ('"a . b"@x.example', ['"a . b"@x.example']),
        ('"a.b"@x.example', ["a.b@x.example"]),
        ("a@[IPv6:2001:db8::1], b@x.example", ["a@[ipv6:2001:db8::1]", "b@x.example"]),
        ("a@x.example\t,\t b@x.example", ["a@x.example", "b@x.example"]),
        ("Ann a@x.example", []),
        ("a@x.example <>", ["a@x.example"]),
        ("Ann <a@x.example", ["a@x.example"]),
        ("Ann <broken, Bob <b@x.example>", ["b@x.example"]),
        ('Ann <a@x.example>, "Bob <b@x.example>', ["a@x.example"]),
        ("a@x.example, (open b@x.example", ["a@x.example"]),
        ("a@x.example), b@x.example", ["a@x.example", "b@x.example"]),
        ("a@x.example, a@[open", ["a@x.example"]),
        ("a@x.example,,; , \\", ["a@x.example"]),
    ],
)
def test_the_header_is_read_as_mail_programs_write_it(value: str, keys: list[str]) -> None:
    assert sorted(named_keys(value)) == sorted(keys)


@given(st.text('a@x.example<>()[]",;:\\ \t=?', max_size=60))
def test_any_value_is_read_and_names_only_mailboxes(value: str) -> None:
    for key in named_keys(value):
        assert parse_address(key).key == key


def test_a_huge_value_is_read_as_far_as_a_send_may_go() -> None:
    value = ", ".join(f"a{number}@x.example" for number in range(40_000))
    keys = named_keys(value)
    assert "a0@x.example" in keys
    assert "a39999@x.example" not in keys
