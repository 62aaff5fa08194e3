"""MAIL and RCPT by table, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.address import Address
from relay.accept.command import MailFrom, parse_mail_from, parse_rcpt_to
from relay.reply import Reply

ALICE = Address("alice", "example.com")


def rcpt(argument: str, *, smtputf8: bool = False) -> Address | Reply:
    return parse_rcpt_to(argument, smtputf8=smtputf8, hostname="relay.test")


def code_of(answer: object) -> str:
    assert isinstance(answer, Reply)
    return f"{answer.code} {answer.enhanced}"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<>", MailFrom(None)),
        ("FROM:<alice@example.com>", MailFrom(ALICE)),
        ("from: <alice@Example.COM>", MailFrom(ALICE)),
        ("FROM:<@a.test,@b.test:alice@example.com>", MailFrom(ALICE)),
        ('FROM:<"a b>c"@example.com>', MailFrom(Address('"a b>c"', "example.com"))),
        ("FROM:<alice@[192.0.2.1]>", MailFrom(Address("alice", "[192.0.2.1]"))),
        ("FROM:<> SIZE=1000", MailFrom(None, 1000)),
        ("FROM:<> size=1000 body=8bitmime", MailFrom(None, 1000, body_8bit=True)),
        ("FROM:<> BODY=7BIT  SMTPUTF8", MailFrom(None, smtputf8=True)),
        ("FROM:<é@example.com> SMTPUTF8", MailFrom(Address("é", "example.com"), smtputf8=True)),
    ],
)
def test_mail_says_sender_and_parameters(argument: str, expected: MailFrom) -> None:
    assert parse_mail_from(argument) == expected


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("", "501 5.1.7"),
        ("FROM:alice@example.com", "501 5.1.7"),
        ("FROM <alice@example.com>", "501 5.1.7"),
        ("TO:<alice@example.com>", "501 5.1.7"),
        ("FROM:<alice@example.com>SIZE=1", "501 5.1.7"),
        ("FROM:<alice@example.com", "501 5.1.7"),
        ("FROM:<alice@exa mple.com>", "501 5.1.7"),
        ("FROM:<alice\r@example.com>", "501 5.1.7"),
        ('FROM:<"alice\r"@example.com>', "553 5.1.7"),
        ("FROM:<alice>", "553 5.1.7"),
        ("FROM:<@a.test:>", "553 5.1.7"),
        ("FROM:<alice@@example.com>", "553 5.1.7"),
        ("FROM:<a%b@c@example.com>", "553 5.1.7"),
        ("FROM:<alice@[300.0.0.1]>", "553 5.1.7"),
        ("FROM:<é@example.com>", "553 5.6.7"),
        ("FROM:<> SIZE", "501 5.5.4"),
        ("FROM:<> SIZE=-1", "501 5.5.4"),
        ("FROM:<> SIZE=1 SIZE=1", "501 5.5.4"),
        ("FROM:<> BODY=BINARYMIME", "501 5.5.4"),
        ("FROM:<> SMTPUTF8=yes", "501 5.5.4"),
        ("FROM:<> =1", "501 5.5.4"),
        ("FROM:<> RET=FULL", "555 5.5.4"),
        ("FROM:<alice@example.com> AUTH=<>", "555 5.5.4"),
    ],
)
def test_mail_is_refused(argument: str, code: str) -> None:
    assert code_of(parse_mail_from(argument)) == code


@pytest.mark.parametrize("value", ["<>", "alice@example.com", "e+3Dmc2@example.com"])
def test_who_offers_auth_takes_its_parameter_and_trusts_it_not(value: str) -> None:
    argument = f"FROM:<alice@example.com> SIZE=1 AUTH={value}"
    assert parse_mail_from(argument, auth=True) == MailFrom(ALICE, 1)
    assert code_of(parse_mail_from(argument)) == "555 5.5.4"


@pytest.mark.parametrize("value", ["", "=", "=a+", "=a+3d", "=é", "=<> AUTH=<>"])
def test_a_malformed_parameter_of_auth_is_refused(value: str) -> None:
    answer = parse_mail_from(f"FROM:<alice@example.com> AUTH{value}", auth=True)
    assert code_of(answer) == "501 5.5.4"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("TO:<alice@example.com>", ALICE),
        ("to: <@a.test:alice@example.com>", ALICE),
        ("TO:<postmaster>", Address("postmaster", "relay.test")),
        ("TO:<PostMaster>", Address("PostMaster", "relay.test")),
        ("TO:<a%b@example.com>", Address("a%b", "example.com")),
    ],
)
def test_rcpt_names_a_recipient(argument: str, expected: Address) -> None:
    assert rcpt(argument) == expected


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("TO:<>", "501 5.1.3"),
        ("FROM:<alice@example.com>", "501 5.1.3"),
        ("TO:alice@example.com", "501 5.1.3"),
        ("TO:<alice>", "553 5.1.3"),
        ("TO:<é@example.com>", "553 5.6.7"),
        ("TO:<alice@example.com> NOTIFY=NEVER", "555 5.5.4"),
        ("TO:<alice@example.com> =", "501 5.5.4"),
    ],
)
def test_rcpt_is_refused(argument: str, code: str) -> None:
    assert code_of(rcpt(argument)) == code


def test_a_non_ascii_recipient_is_taken_where_mail_said_smtputf8() -> None:
    assert rcpt("TO:<é@example.com>", smtputf8=True) == Address("é", "example.com")


@given(st.text(max_size=60))
def test_no_argument_is_too_odd_for_an_answer(argument: str) -> None:
    assert isinstance(parse_mail_from(f"FROM:<{argument}>"), MailFrom | Reply)
    assert isinstance(rcpt(f"TO:<{argument}>", smtputf8=True), Address | Reply)


@given(st.from_regex(r"FROM:<.{0,40}>.{0,20}", fullmatch=True))
def test_a_sender_that_is_taken_has_no_control_character(argument: str) -> None:
    answer = parse_mail_from(argument)
    if isinstance(answer, MailFrom) and answer.sender is not None:
        assert str(answer.sender).isprintable() or not str(answer.sender).isascii()
