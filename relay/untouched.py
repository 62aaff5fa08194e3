"""UNTOUCHED: a send as it came, when a stage of the way in has failed over it.

It stands on none of them: two patterns find what may not travel, nothing else is looked at.
"""

import re
from collections.abc import Iterator
from email.utils import format_datetime

from ledger.fact import CopyFact, RecipientFact, SendAccepted
from ledger.mode import TrackingMode
from relay.mail import Copy, Recipient, RecipientType, Submission
from relay.policy import Policy
from relay.promise import Stored
from relay.template import Template
from relay.verdict import Because, Clicks, PassThrough

# RFC 5322 2.2, 4.5: a message whose first line is no field has no header; mbox has its own line.
_HEADER = re.compile(rb"(?:From |[!-9;-~]+[ \t]*:).*?(?:\r\n(?=\r\n)|\Z)", re.DOTALL)
# RFC 5322 3.6.3: Bcc never travels; nor do our own fields.
_DROPPED = re.compile(
    rb"^(?:(?:resent-)?bcc|x-indicia-[!-9;-~]*)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(
    rb"^message-id[ \t]*:[ \t]*(?:\r\n[ \t]+)?<([!-;=?-~]{1,900})>", re.IGNORECASE | re.MULTILINE
)


def count_received(raw: bytes) -> int:
    """Return how many Received fields a message has: a loop is refused, whatever has failed."""
    return len(_RECEIVED.findall(_header(raw)))


def leave_untouched(
    submission: Submission, policy: Policy, copy: Copy, event_ids: Iterator[str], why: PassThrough
) -> Stored:
    """Return what is to be stored: one copy for all, without Bcc and with Received.

    `copy` is that of untouched_copy.  One name is drawn from `event_ids` for each recipient.

    Law: what goes on the wire is Received and the message without the dropped fields.
    """
    header = _header(submission.raw)
    rest = submission.raw[len(header) :]
    empty_line = b"" if header or rest.startswith(b"\r\n") else b"\r\n"
    sent = _received(submission, policy) + _DROPPED.sub(b"", header) + empty_line + rest
    # RFC 5321 4.5.2; the first line is ours and begins with no dot.
    wire = sent.replace(b"\r\n.", b"\r\n..")
    template = Template(wire, (), policy.base_url, passed=why)
    return Stored(submission, template, (copy,), _fact(submission, template, copy, event_ids))


def untouched_copy(submission: Submission, key_id: int, copy_id: int) -> Copy:
    """Return the one copy; nobody has looked who is named where, so each recipient is a Bcc."""
    recipients = tuple(
        Recipient(address, RecipientType.BCC) for address in submission.envelope.recipients
    )
    return Copy(copy_id, submission.send_id, TrackingMode.OFF, None, key_id, recipients)


def _header(raw: bytes) -> bytes:
    match = _HEADER.match(raw)
    return match[0] if match else b""


def _received(submission: Submission, policy: Policy) -> bytes:
    # RFC 5322 3.6.7 asks for no more; relay.trace may be what failed.
    hostname = policy.hostname.encode("ascii", "replace").decode("ascii")
    at = format_datetime(submission.received_at)
    return f"Received: by {hostname} with ESMTP id {submission.send_id};\r\n\t{at}\r\n".encode()


def _fact(
    submission: Submission, template: Template, copy: Copy, event_ids: Iterator[str]
) -> SendAccepted:
    sender = submission.envelope.sender
    message_id = _MESSAGE_ID.search(_header(submission.raw))
    return SendAccepted(
        send_id=submission.send_id,
        accepted_at=submission.received_at,
        message_id=message_id[1].decode("ascii") if message_id else None,
        sender=None if sender is None else str(sender),
        account=submission.account,
        client=submission.client.ip,
        subject=None,
        size_bytes=len(submission.raw),
        base_url=template.base_url,
        verdict=tuple(_explained(recipient, template) for recipient in copy.recipients),
        tags=(),
        metadata={},
        copies=(
            CopyFact(
                copy.copy_id,
                copy.mode,
                tuple(
                    RecipientFact(next(event_ids), str(one.address), one.recipient_type.value)
                    for one in copy.recipients
                ),
            ),
        ),
        links=(),
    )


def _explained(recipient: Recipient, template: Template) -> dict[str, object]:
    """Return the object of `explain --json`."""
    assert template.passed is not None
    name = template.passed.reason.value
    said: dict[str, str | bool] = {
        "mode": TrackingMode.OFF.value,
        "opens": False,
        "clicks": Clicks.NONE.value,
    }
    return {
        "recipient": str(recipient.address),
        "recipient_type": recipient.recipient_type.value,
        **said,
        "copy": 1,
        "reasons": [
            {"of": of, "is": value, "because": Because.CONTENT.value, "name": name}
            for of, value in said.items()
        ],
        "parts": [],
        "links": [],
        "ignored": [],
    }
