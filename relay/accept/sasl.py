"""AUTH: what a client says to sign in, PLAIN and LOGIN.

RFC 4954 with RFC 4616 (PLAIN); LOGIN is a draft that never became a standard, and what half of
the mail programs speak first.
"""

import base64
import re
from collections.abc import Awaitable, Callable

from relay.accept.phrases import WRONG_CREDENTIAL
from relay.mail import Credential
from relay.reply import Reply

MECHANISMS = ("PLAIN", "LOGIN")
"""As EHLO offers them."""

MAX_LINE_BYTES = 12_288
"""RFC 4954 4: what a server must be able to read."""

_MAX_NAME_BYTES = 320
"""RFC 5321 4.5.3.1: 64 before the @ and 255 behind it."""

TOO_LONG = Reply(500, "5.5.6", "The line of the sign-in is too long")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

_CANCELLED = Reply(501, "5.7.0", "The sign-in was cancelled")
_NOT_BASE64 = Reply(501, "5.5.2", "That is not base64")
_NOT_PLAIN = Reply(501, "5.5.2", "That is no answer of PLAIN")
_NAME_NO_MECHANISM = Reply(501, "5.5.4", "Write AUTH PLAIN or AUTH LOGIN")
_UNKNOWN_MECHANISM = Reply(504, "5.5.4", "This server knows PLAIN and LOGIN")

Ask = Callable[[str], Awaitable[bytes | None]]
"""Gives the client's line after a challenge, which is base64; None where it is too long."""


async def read_credential(argument: str, ask: Ask) -> Credential | Reply:
    """Return what a client signs in with, from the argument of AUTH on, or why it is refused."""
    mechanism, _, initial = argument.partition(" ")
    if not mechanism or " " in initial:
        return _NAME_NO_MECHANISM
    match mechanism.upper():
        case "PLAIN":
            return await _read_plain(initial, ask)
        case "LOGIN":
            return await _read_login(initial, ask)
        case _:
            return _UNKNOWN_MECHANISM


async def _read_plain(initial: str, ask: Ask) -> Credential | Reply:
    # RFC 4616 2: a challenge without content.
    answer = await _answer(initial, "", ask)
    if isinstance(answer, Reply):
        return answer
    words = answer.split(b"\0")
    if len(words) != 3:  # noqa: PLR2004 - RFC 4616 2: for whom, who, and the password
        return _NOT_PLAIN
    for_whom, who, password = words
    if for_whom not in (b"", who):
        return WRONG_CREDENTIAL  # nobody may act for somebody else
    return _credential(who, password)


async def _read_login(initial: str, ask: Ask) -> Credential | Reply:
    who = await _answer(initial, _encoded("Username:"), ask)
    if isinstance(who, Reply):
        return who
    password = await _answer("", _encoded("Password:"), ask)
    return password if isinstance(password, Reply) else _credential(who, password)


async def _answer(initial: str, challenge: str, ask: Ask) -> bytes | Reply:
    # RFC 4954 4: "=" is an initial response without content.
    if initial:
        return b"" if initial == "=" else _decoded(initial.encode())
    line = await ask(challenge)
    if line is None:
        return TOO_LONG
    return _CANCELLED if line == b"*" else _decoded(line)


def _decoded(line: bytes) -> bytes | Reply:
    # Python's decoder, strict or not, takes more than RFC 4648 4 has.
    return base64.b64decode(line) if _BASE64.fullmatch(line) else _NOT_BASE64


def _credential(who: bytes, password: bytes) -> Credential | Reply:
    try:
        credential = Credential(who.decode(), password.decode())
    except UnicodeDecodeError:
        return WRONG_CREDENTIAL  # RFC 4616 2 has UTF-8; whatever this is, nobody has it
    # It stands in logs and records, so it is a line.
    good = 0 < len(who) <= _MAX_NAME_BYTES and credential.username.isprintable()
    return credential if good else WRONG_CREDENTIAL


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
