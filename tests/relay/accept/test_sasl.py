"""PLAIN and LOGIN by table."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.accept.sasl import read_credential
from relay.mail import Credential
from relay.reply import Reply

ALICE = Credential("alice@example.com", "pässwörd")


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def read(argument: str, *lines: bytes | None) -> tuple[Credential | Reply, list[str]]:
    """Return what came of it, and the challenges that were said."""
    challenges: list[str] = []
    left = list(lines)

    async def ask(challenge: str) -> bytes | None:
        challenges.append(challenge)
        return left.pop(0)

    answer = asyncio.run(read_credential(argument, ask))
    assert left == []
    return answer, challenges


PLAIN = coded("\0alice@example.com\0pässwörd")
FOR_HIMSELF = coded("alice@example.com\0alice@example.com\0pässwörd")
NAME, PASSWORD = coded("alice@example.com"), coded("pässwörd")
ASK_NAME, ASK_PASSWORD = "VXNlcm5hbWU6", "UGFzc3dvcmQ6"


@pytest.mark.parametrize(
    ("argument", "lines", "challenges"),
    [
        (f"PLAIN {PLAIN}", (), []),
        (f"plain {PLAIN}", (), []),
        ("PLAIN", (PLAIN.encode(),), [""]),
        (
            f"PLAIN {FOR_HIMSELF}",
            (),
            [],
        ),
        ("LOGIN", (NAME.encode(), PASSWORD.encode()), [ASK_NAME, ASK_PASSWORD]),
        (f"LOGIN {NAME}", (PASSWORD.encode(),), [ASK_PASSWORD]),
    ],
)
def test_both_forms_give_a_credential(
    argument: str, lines: tuple[bytes, ...], challenges: list[str]
) -> None:
    assert read(argument, *lines) == (ALICE, challenges)


@pytest.mark.parametrize(
    ("argument", "lines", "code"),
    [
        ("", (), "501 5.5.4"),
        (f"PLAIN {PLAIN} {PLAIN}", (), "501 5.5.4"),
        ("CRAM-MD5", (), "504 5.5.4"),
        ("XOAUTH2 x", (), "504 5.5.4"),
        ("PLAIN", (b"*",), "501 5.7.0"),
        ("LOGIN", (b"*",), "501 5.7.0"),
        (f"LOGIN {NAME}", (b"*",), "501 5.7.0"),
        ("PLAIN *", (), "501 5.5.2"),
        ("PLAIN not!base64", (), "501 5.5.2"),
        ("PLAIN", (b"AGFsaWNlAHBhc3N3b3Jk=",), "501 5.5.2"),
        ("PLAIN", (b"\xff",), "501 5.5.2"),
        ("LOGIN", (NAME.encode(), b"p"), "501 5.5.2"),
        ("PLAIN =", (), "501 5.5.2"),
        (f"PLAIN {coded('alice@example.com')}", (), "501 5.5.2"),
        (f"PLAIN {coded(chr(0) * 3)}", (), "501 5.5.2"),
        ("PLAIN", (None,), "500 5.5.6"),
        (f"LOGIN {NAME}", (None,), "500 5.5.6"),
        (f"PLAIN {coded('bob' + chr(0) + 'alice' + chr(0) + 'x')}", (), "535 5.7.8"),
        (f"PLAIN {coded(b'%c%c%c%c' % (0, 0xFF, 0, 0x61))}", (), "535 5.7.8"),
        ("LOGIN", (b"", PASSWORD.encode()), "535 5.7.8"),
        ("LOGIN =", (PASSWORD.encode(),), "535 5.7.8"),
        (f"LOGIN {coded('a' * 321)}", (PASSWORD.encode(),), "535 5.7.8"),
        (f"LOGIN {coded('alice' + chr(13) + chr(10) + 'level=error')}", (b"YQ==",), "535 5.7.8"),
    ],
)
def test_what_is_no_credential_is_refused(
    argument: str, lines: tuple[bytes | None, ...], code: str
) -> None:
    answer, _ = read(argument, *lines)
    assert isinstance(answer, Reply)
    assert f"{answer.code} {answer.enhanced}" == code


@given(st.text(max_size=40), st.binary(max_size=60))
def test_whatever_is_said_is_answered(argument: str, line: bytes) -> None:
    async def ask(_challenge: str) -> bytes:
        return line

    for mechanism in ("PLAIN", "LOGIN"):
        answer = asyncio.run(read_credential(f"{mechanism} {argument}".strip(" "), ask))
        assert isinstance(answer, Credential | Reply)
        if isinstance(answer, Credential):
            assert answer.username.isprintable()
