"""What the ledger is told of a send."""

import re
from collections.abc import Iterator, Mapping, Sequence

from ledger.fact import CopyFact, LinkFact, RecipientFact, SendAccepted
from relay.mail import Copy
from relay.mime.header import decode_text, read_header
from relay.send import Send
from relay.template import Link

MAX_SUBJECT = 500
"""Characters; RFC 5322 2.1.1 permits a line of 998, no list shows more than a hundred."""
MAX_MESSAGE_ID = 998
"""Characters: one line (RFC 5322 2.1.1)."""

_MESSAGE_ID = re.compile(r"<([^<>]*)>")


def accepted_fact(
    send: Send, explained: Sequence[Mapping[str, object]], event_ids: Iterator[str]
) -> SendAccepted:
    """Return the fact that a send was accepted, with what explain_send says of it.

    One name is drawn from `event_ids` for each recipient.
    """
    submission = send.submission
    envelope = submission.envelope
    message_id, subject = message_names(submission.raw)
    return SendAccepted(
        send_id=submission.send_id,
        accepted_at=submission.received_at,
        message_id=message_id,
        sender=None if envelope.sender is None else str(envelope.sender),
        account=submission.account,
        client=submission.client.ip,
        subject=subject,
        size_bytes=len(submission.raw),
        base_url=send.template.base_url,
        verdict=tuple(explained),
        tags=send.accept.tags,
        metadata=send.accept.metadata,
        copies=tuple(_copy_fact(copy, event_ids) for copy in send.copies),
        links=tuple(_link_facts(send.template.links)),
    )


def _link_facts(links: Sequence[Link]) -> Iterator[LinkFact]:
    """Yield each link once, where it stands in HTML if it does."""
    told: set[int] = set()
    for link in links:
        if link.number not in told:
            told.add(link.number)
            yield LinkFact(link.number, link.part, link.url, link.text)


def message_names(raw: bytes) -> tuple[str | None, str | None]:
    """Return Message-ID, without its brackets, and Subject as people read it; None where missing.

    Both are cut to a length that a list can hold.
    """
    header = read_header(raw)
    message_id, subject = header.value(b"message-id"), header.value(b"subject")
    return (
        _bare_message_id(decode_text(message_id)) if message_id else None,
        decode_text(subject)[:MAX_SUBJECT] if subject is not None else None,
    )


def _bare_message_id(text: str) -> str | None:
    # RFC 5322 3.6.4; comments may stand around it.
    match = _MESSAGE_ID.search(text)
    bare = match[1].strip() if match else text
    return bare[:MAX_MESSAGE_ID] or None


def _copy_fact(copy: Copy, event_ids: Iterator[str]) -> CopyFact:
    recipients = tuple(
        RecipientFact(next(event_ids), str(recipient.address), recipient.recipient_type.value)
        for recipient in copy.recipients
    )
    return CopyFact(copy.copy_id, copy.mode, recipients)
