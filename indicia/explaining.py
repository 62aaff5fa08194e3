"""What would happen to a message: the relay's own stages, without relay, network or record."""

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns

from config.settings import Settings
from indicia.explained import explained_lines
from indicia.failure import USAGE, Failure
from indicia.inforce import policy_in_force
from indicia.printing import print_json, print_line
from ledger.address import Address, AddressError, parse_address
from ledger.ident import new_ident
from ledger.token import MIN_SECRET_BYTES, TokenKey
from relay.accept.content import canonical_message
from relay.intake import prepare_send
from relay.mail import Client, Copy, Envelope, Submission
from relay.policy import Policy
from relay.promise import Stored
from relay.reply import Reply
from relay.sign import Seal
from relay.stamp import stamp_copy

STANDARD_INPUT = "-"
_KEY = TokenKey(0, bytes(MIN_SECRET_BYTES))
"""No key of anybody's, so that what is previewed can never be taken for a copy that was sent."""


@dataclass(frozen=True, slots=True)
class Supposed:
    """A message, and who would send it to whom."""

    message: str
    """A file, or `-` for standard input."""
    sender: str
    """Empty for the null sender."""
    recipients: tuple[str, ...]
    account: str | None = None


def explain_message(settings: Settings, supposed: Supposed, *, as_json: bool) -> None:
    """Print for each recipient, part and link what would happen, which rule decided, and why.

    Where `observe` is on, then what would happen without it: in JSON as `unobserved`.

    Raises Failure where the message would not be taken.
    """
    explained = _suppose(*_given(settings, supposed)).fact.verdict
    if as_json:
        for recipient in explained:
            print_json(recipient)
        return
    for line in explained_lines(explained):
        print_line(line)


def preview_message(
    settings: Settings, supposed: Supposed, recipient: str | None, *, diff: bool
) -> None:
    """Write the bytes that a recipient, else the first one, would get; or what differs in them.

    Raises Failure where the message would not be taken, or the recipient is none of it, and
    KeyFileError where the copy is signed and its key can not be read.
    """
    send = _suppose(*_given(settings, supposed))
    copy = _copy_of(send, recipient or supposed.recipients[0])
    # RFC 5321 4.5.2: what goes on the wire has its dots doubled.
    wire = b"\r\n" + stamp_copy(send.template, copy, _KEY, _seal(settings, send))
    got = wire.replace(b"\r\n.", b"\r\n")[2:]
    if diff:
        got = _difference(send.submission.raw, got)
    sys.stdout.buffer.write(got)
    sys.stdout.buffer.flush()


def _seal(settings: Settings, send: Stored) -> Seal | None:
    signing = send.template.signing
    if signing is None:
        return None
    # cryptography takes a fifth of a second to load.
    from relay.signers import load_signers

    return Seal(signing, send.submission.received_at, load_signers(settings.dkim)[signing])


def _given(settings: Settings, supposed: Supposed) -> tuple[Submission, Policy]:
    submission = _submission(settings, supposed)
    return submission, policy_in_force(settings, submission.envelope.recipients)


def _suppose(submission: Submission, policy: Policy) -> Stored:
    """Return what the relay would store, faults of ours and all."""
    stored = prepare_send(submission, policy, _KEY.key_id)
    if isinstance(stored, Reply):
        raise _refused(stored)
    # Numbered, not drawn: the same preview is the same bytes.
    copies = (replace(copy, copy_id=number) for number, copy in enumerate(stored.copies, 1))
    return replace(stored, copies=tuple(copies))


def _submission(settings: Settings, supposed: Supposed) -> Submission:
    recipients = {address.key: address for address in map(_address, reversed(supposed.recipients))}
    sender = _address(supposed.sender) if supposed.sender else None
    raw = _read_message(supposed.message, settings.relay.max_message_bytes)
    everyone = [*recipients.values(), *([sender] if sender else [])]
    envelope = Envelope(
        sender,
        tuple(reversed(recipients.values())),
        smtputf8=not all(address.is_ascii for address in everyone),
        body_8bit=not raw.isascii(),
    )
    return Submission(
        send_id=new_ident(time_ns() // 1_000_000, 0),
        envelope=envelope,
        raw=raw,
        received_at=datetime.now(UTC),
        client=Client("127.0.0.1", "localhost"),
        account=supposed.account,
    )


def _read_message(message: str, max_bytes: int) -> bytes:
    try:
        piped = message == STANDARD_INPUT
        text = sys.stdin.buffer.read() if piped else Path(message).read_bytes()
    except OSError as error:
        msg = f"{message} can not be read ({error.strerror})"
        raise Failure(msg) from error
    if not text.endswith(b"\n"):
        text += b"\r\n"
    # As a client would send it, so that the same rules of intake hold.
    stuffed = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")
    raw = canonical_message(stuffed, max_bytes, refuse_lone_lf=False)
    if isinstance(raw, Reply):
        raise _refused(raw)
    return raw


def _refused(reply: Reply) -> Failure:
    return Failure(f"the message would be refused: {reply}")


def _copy_of(send: Stored, recipient: str) -> Copy:
    key = _address(recipient).key
    for copy in send.copies:
        if any(one.address.key == key for one in copy.recipients):
            return copy
    msg = f"{recipient} is no recipient of this message; name it with --to or --bcc"
    raise Failure(msg)


def _difference(before: bytes, after: bytes) -> bytes:
    lines = difflib.diff_bytes(
        difflib.unified_diff, _lines(before), _lines(after), b"submitted", b"copy", lineterm=b""
    )
    return b"".join(line + b"\n" for line in lines)


def _lines(raw: bytes) -> Sequence[bytes]:
    return raw.removesuffix(b"\r\n").split(b"\r\n")


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        raise Failure(str(error), USAGE) from None
