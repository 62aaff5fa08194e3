"""Tell the sender what failed, or waits (RFC 3464).

A report is addressed to the reverse-path and sent with the null one; to a null reverse-path none is
made, so no bounce is ever bounced (RFC 5321 6.1).  It quotes the header of the original only, as it
was before anything was tracked: no token, no Bcc.
"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum

from ledger.address import Address
from relay.reply import Reply

MAX_HEADER_BYTES = 65_536
"""How much of the original's header is quoted: far more than real mail has, and a bound."""

_MAX_TEXT = 600
"""Of an upstream's reply; lines stay under 998 even where every character is escaped to two."""
_MAX_QP = 76  # RFC 2045 6.7 (5)
_WIDTH = 72

_MESSAGE_ID = re.compile(r"<[!-;=?-~]+>")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# RFC 6533 3: all printable characters but `\`, `+` and `=` stand for themselves.
_EMBEDDED = re.compile(r"[^!-*,-<>-\[\]-~]")


class Action(StrEnum):
    """What became of the recipients that a report names (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class Unserved:
    """One recipient whom the mail has not reached."""

    recipient: Address
    reply: Reply
    """The last that was said about him."""
    host: str
    """Who said it: the upstream's host."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What a report is about."""

    sender: Address
    """To whom it goes.  There is no report to the null sender."""
    received_at: datetime
    original: bytes
    """The untracked copy, or its header; dot-stuffed as it lies in the template."""
    message_id: str | None
    """Without angle brackets."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports, and when."""

    hostname: str
    report_id: str
    """Unique; it makes the Message-ID and the boundary."""
    now: datetime


def write_bounce(
    undelivered: Undelivered, unserved: Sequence[Unserved], reporter: Reporter
) -> bytes:
    """Return the message that tells the sender who will not get his mail.

    Lines end CRLF, nothing is dot-stuffed; ASCII, but for the To of a sender who is not.

    Law: it names exactly the recipients of `unserved`.
    """
    return _write_report(Action.FAILED, undelivered, unserved, reporter, "")


def write_delay_notice(
    undelivered: Undelivered,
    unserved: Sequence[Unserved],
    reporter: Reporter,
    retry_until: datetime,
) -> bytes:
    """Return the message that tells the sender who has not got his mail yet.

    Form and law as for write_bounce.
    """
    until = f"Will-Retry-Until: {format_datetime(retry_until)}\r\n"
    return _write_report(Action.DELAYED, undelivered, unserved, reporter, until)


def _write_report(
    action: Action,
    undelivered: Undelivered,
    unserved: Sequence[Unserved],
    reporter: Reporter,
    until: str,
) -> bytes:
    boundary = f"=_{reporter.report_id}"
    head = _header(action, undelivered, reporter, boundary)
    parts = (
        _part("text/plain; charset=us-ascii", _human_text(action, undelivered, unserved)),
        _part(
            "message/delivery-status",
            _per_message(undelivered, reporter)
            + "".join(_per_recipient(action, one, reporter.now, until) for one in unserved),
        ),
        _quoted_header(undelivered.original),
    )
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"{head}\r\n{body}--{boundary}--\r\n".encode()


def _header(action: Action, undelivered: Undelivered, reporter: Reporter, boundary: str) -> str:
    subject = {
        Action.FAILED: "Undelivered mail returned to its sender",
        Action.DELAYED: "Your mail waits and will be tried again",
    }[action]
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{reporter.hostname}>",
        f"To: <{undelivered.sender}>",
        f"Subject: {subject}",
        f"Date: {format_datetime(reporter.now)}",
        f"Message-ID: <{reporter.report_id}@{reporter.hostname}>",
    ]
    answered = f"<{undelivered.message_id or ''}>"
    if _MESSAGE_ID.fullmatch(answered):
        lines += [f"In-Reply-To: {answered}", f"References: {answered}"]
    lines += [
        "Auto-Submitted: auto-replied",  # RFC 3834 5.1, 3464 2
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _part(content_type: str, text: str) -> str:
    return f"Content-Type: {content_type}\r\n\r\n{text}"


def _human_text(action: Action, undelivered: Undelivered, unserved: Sequence[Unserved]) -> str:
    when = format_datetime(undelivered.received_at)
    told = {
        Action.FAILED: f"Your mail of {when} could not be delivered to the people named below. "
        "It is not tried again.",
        Action.DELAYED: f"Your mail of {when} has not reached the people named below yet. "
        "It is tried again; you need not send it again.",
    }[action]
    paragraphs = [textwrap.wrap(told, _WIDTH)]
    paragraphs += [
        [
            _ascii(str(one.recipient)),
            *(_indented(f"{_ascii(one.host)}: {_cleaned(str(one.reply))}")),
        ]
        for one in unserved
    ]
    return "\r\n".join("".join(f"{line}\r\n" for line in lines) for lines in paragraphs)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


def _per_message(undelivered: Undelivered, reporter: Reporter) -> str:
    return (
        f"Reporting-MTA: dns; {reporter.hostname}\r\n"
        f"Arrival-Date: {format_datetime(undelivered.received_at)}\r\n"
    )


def _per_recipient(action: Action, one: Unserved, now: datetime, until: str) -> str:
    return (
        "\r\n"
        f"Final-Recipient: {_typed_address(one.recipient)}\r\n"
        f"Action: {action}\r\n"
        f"Status: {_status(action, one.reply)}\r\n"
        f"Remote-MTA: dns; {_ascii(one.host)}\r\n"
        f"Diagnostic-Code: smtp; {_cleaned(str(one.reply))}\r\n"
        f"Last-Attempt-Date: {format_datetime(now)}\r\n"
        f"{until}"
    )


def _typed_address(address: Address) -> str:
    # RFC 6533 3: utf-8-addr-xtext, the form of the type utf-8 that fits message/delivery-status.
    if address.is_ascii:
        return f"rfc822; {address}"
    xtext = _EMBEDDED.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", str(address))
    return f"utf-8; {xtext}"


def _status(action: Action, reply: Reply) -> str:
    # RFC 3464 2.3.4: a failure after retries keeps the 4.x.x of what was said last.
    if _ENHANCED.fullmatch(reply.enhanced):
        return reply.enhanced
    return "5.0.0" if action is Action.FAILED and reply.code >= 500 else "4.0.0"  # noqa: PLR2004 - RFC 5321 4.2.1


def _cleaned(text: str) -> str:
    """Return an upstream's words on one line of ASCII: they come from a stranger."""
    return _ascii(_CONTROL.sub(" ", text))[:_MAX_TEXT]


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _quoted_header(original: bytes) -> str:
    header = _header_of(original)
    if header.isascii() and max(map(len, header.split(b"\r\n"))) <= 998:  # noqa: PLR2004 - RFC 5322 2.1.1
        return _part("text/rfc822-headers", header.decode("ascii"))
    # RFC 6522 4: a header that is no legal 7-bit text is sent quoted-printable.
    return (
        "Content-Type: text/rfc822-headers; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        f"\r\n{_quoted_printable(header)}"
    )


def _header_of(original: bytes) -> bytes:
    """Return the header with its last CRLF, unstuffed, cut at a line where it is too long."""
    end = original.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    if original.startswith(b"\r\n"):
        return b""
    if end < 0:
        end = original.rfind(b"\r\n", 0, MAX_HEADER_BYTES)
    header = original[: end + 2] if end >= 0 else b""
    return re.sub(rb"(?m)^\.", b"", header)


def _quoted_printable(raw: bytes) -> str:
    lines = []
    for line in raw.split(b"\r\n"):
        row = ""
        for position, byte in enumerate(line):
            plain = 33 <= byte <= 126 and byte != 61  # noqa: PLR2004 - RFC 2045 6.7 (2)
            inner_space = byte in b" \t" and position < len(line) - 1
            piece = chr(byte) if plain or inner_space else f"={byte:02X}"
            if len(row) + len(piece) >= _MAX_QP:
                lines.append(f"{row}=")
                row = ""
            row += piece
        lines.append(row)
    return "\r\n".join(lines)
