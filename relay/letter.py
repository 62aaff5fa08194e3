"""A mail of our own to a recipient, written out (RFC 5322)."""

import base64
import textwrap
from datetime import datetime
from email.utils import format_datetime

from ledger.address import Address

_ENCODED_BYTES = 45
"""Of one encoded word: 60 characters of base64, and 75 is the most (RFC 2047 2)."""

_BASE64_LINE = 76  # RFC 2045 6.8


def write_letter(
    recipient: Address, subject: str, text: str, message_id: str, at: datetime
) -> bytes:
    """Return a mail of plain text from the postmaster of the host in its Message-ID.

    Lines end CRLF and nothing is dot-stuffed; ASCII, but for the To of a recipient who is not.
    """
    hostname = message_id.partition("@")[2]
    lines = [
        f"From: Mail tracking <postmaster@{hostname}>",
        f"To: <{recipient}>",
        f"Subject: {_words(subject)}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{message_id}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 5: somebody's request made it
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        *_body(text),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _words(subject: str) -> str:
    """Return a subject as it is where it is ASCII, else as encoded words on lines of their own."""
    if subject.isascii():
        return subject
    pieces, piece = [], b""
    for character in subject:
        raw = character.encode()
        if len(piece) + len(raw) > _ENCODED_BYTES:
            pieces.append(piece)
            piece = b""
        piece += raw
    pieces.append(piece)
    # RFC 2047 5 (1), 6.2: white space between encoded words is not shown.
    return " ".join(f"=?utf-8?b?{base64.b64encode(one).decode()}?=" for one in pieces)


def _body(text: str) -> list[str]:
    # RFC 2045 6.8, 6.7: a text's line ends are CRLF before they are encoded.
    raw = base64.b64encode(text.replace("\n", "\r\n").encode()).decode()
    return textwrap.wrap(raw, _BASE64_LINE)
