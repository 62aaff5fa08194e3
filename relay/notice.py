"""A report to the sender, made new mail for the spool."""

from dataclasses import dataclass
from datetime import datetime

from ledger.address import Address
from ledger.fact import CopyFact, RecipientFact, SendAccepted
from ledger.mode import TrackingMode
from relay.mail import Client, Copy, Envelope, Recipient, RecipientType, Submission
from relay.outgoing import double_dots
from relay.promise import Stored
from relay.template import Template
from relay.verdict import Because, PassReason, PassThrough


@dataclass(frozen=True, slots=True)
class Names:
    """What is drawn for one report."""

    send_id: str
    event_id: str
    copy_id: int
    """Random, 63 bits; drawn again where it is taken."""
    key_id: int
    """Of the key that signs now; a report is not tracked and needs none."""


_OURSELVES = Client(ip="127.0.0.1", helo="localhost")


def notice_mail(raw: bytes, recipient: Address, names: Names, at: datetime) -> Stored:
    """Return a report as mail from the null sender, untracked, to one recipient."""
    envelope = Envelope(None, (recipient,), smtputf8=not recipient.is_ascii)
    to = Recipient(recipient, RecipientType.TO)
    return Stored(
        Submission(names.send_id, envelope, raw, at, _OURSELVES),
        Template(
            original=double_dots(raw, line_start=True),
            layouts=(),
            base_url="",
            passed=PassThrough(PassReason.NULL_SENDER),
        ),
        (Copy(names.copy_id, names.send_id, TrackingMode.OFF, None, names.key_id, (to,)),),
        _accepted(raw, recipient, names, at),
    )


def _accepted(raw: bytes, recipient: Address, names: Names, at: datetime) -> SendAccepted:
    to = RecipientFact(names.event_id, str(recipient), RecipientType.TO.value)
    reason = {
        "of": "mode",
        "is": TrackingMode.OFF.value,
        "because": Because.CONTENT.value,
        "name": PassReason.NULL_SENDER.value,
    }
    return SendAccepted(
        send_id=names.send_id,
        accepted_at=at,
        message_id=_field(raw, b"Message-ID: ").strip("<>"),
        sender=None,
        account=None,
        client=_OURSELVES.ip,
        subject=_field(raw, b"Subject: "),
        size_bytes=len(raw),
        base_url="",
        verdict=(
            {
                "recipient": str(recipient),
                "recipient_type": RecipientType.TO.value,
                "mode": TrackingMode.OFF.value,
                "opens": False,
                "clicks": "none",
                "copy": 1,
                "reasons": [reason],
                "parts": [],
                "links": [],
            },
        ),
        tags=(),
        metadata={},
        copies=(CopyFact(names.copy_id, TrackingMode.OFF, (to,)),),
        links=(),
    )


def _field(raw: bytes, name: bytes) -> str:
    """Return a field of a report; relay.dsn writes each on one line."""
    start = raw.index(b"\r\n" + name) + 2 + len(name)
    return raw[start : raw.index(b"\r\n", start)].decode()
