"""What is held of one address, in the forms in which he is told.

Of others nothing is told that he does not know from his own mail: of a shared copy it is said how
many got it, not who, and of what he sent, to whom, not who opened it.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from indicia.printing import plain_text, table
from indicia.wording import tell_more, tell_what
from ledger.address import Address, address_key
from ledger.audit import AuditRow
from ledger.cleared import InQueue
from ledger.consent import Consent
from ledger.consents import ConsentTold
from ledger.event import Event, event_object, format_instant
from ledger.holdings import HeldCopy, HeldSend
from ledger.people import Account
from ledger.queue import copy_object
from ledger.spooled import CapturedCopy
from ledger.story import RecordedHit, StoredLink


@dataclass(frozen=True, slots=True)
class Held:
    """All that is held of one address."""

    address: Address
    at: datetime
    copies: tuple[HeldCopy, ...]
    received: Mapping[str, HeldSend]
    links: Mapping[str, Mapping[int, StoredLink]]
    events: tuple[Event, ...]
    hits: tuple[RecordedHit, ...]
    sent: tuple[HeldSend, ...]
    account: Account | None
    consent: Consent
    history: tuple[ConsentTold, ...]
    audit: tuple[AuditRow, ...]
    rules: tuple[str, ...]
    queue: InQueue
    captured: tuple[CapturedCopy, ...]
    details: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held but perhaps what was done about him."""
        return not (
            self.copies
            or self.events
            or self.sent
            or self.account
            or self.history
            or self.queue.waiting
            or self.captured
        )


def held_object(held: Held) -> dict[str, Any]:
    """Return all that is held as one JSON object: docs/privacy.md has its shape."""
    return {
        "address": str(held.address),
        "key": held.address.key,
        "exported_at": format_instant(held.at),
        "received": [_copy_object(copy, held) for copy in held.copies],
        "events": [_event_of(event, held.address) for event in held.events],
        "hits": [_hit_object(hit) for hit in held.hits],
        "sent": [_sent_object(send) for send in held.sent],
        "account": None if held.account is None else _account_object(held.account),
        "consent": {
            "state": held.consent.value,
            "history": [_told_object(told) for told in held.history],
        },
        "queue": {
            "to": [copy_object(copy, held.at) for copy in (*held.queue.to_him, *held.queue.got)],
            "from": [copy_object(copy, held.at) for copy in held.queue.from_him],
        },
        "captured": [_captured_object(copy) for copy in held.captured],
        "audit": [_audit_object(row) for row in held.audit],
        "rules": list(held.rules),
        "same_person_perhaps": list(held.details),
    }


def held_lines(held: Held) -> Iterator[str]:
    """Yield the same to be read."""
    yield f"What is held of {held.address}, {_when(held.at)} UTC"
    yield from _section("mail received", [_copy_row(copy, held) for copy in held.copies])
    yield from _section("events", [_event_row(event) for event in held.events])
    yield from _section("requests of his mail programs", [_hit_row(hit) for hit in held.hits])
    yield from _section("mail sent", [_sent_row(send) for send in held.sent])
    if held.account is not None:
        account = _account_object(held.account)
        yield from _section("account", [(name, str(value)) for name, value in account.items()])
    told = [
        (_when(one.at), one.state.value, one.method.value, one.source, one.text)
        for one in held.history
    ]
    yield from _section(f"consent: {held.consent.value}", told, always=True)
    waiting = [
        (copy.send_id, copy.sender or "<>", copy.subject or "")
        for copy in (*held.queue.waiting, *held.queue.got)
    ]
    yield from _section("in the queue", waiting)
    captured = [
        (_when(one.captured_at), one.subject or "", f"{len(one.raw)} bytes")
        for one in held.captured
    ]
    yield from _section("captured mail", captured)
    done = [(_when(row.entry.at), row.entry.action) for row in held.audit]
    yield from _section("done by or about him (audit)", done)
    yield from _section("rules that name the address", [(rule,) for rule in held.rules])
    yield from _section(
        "other addresses that may be the same person's: ask for each",
        [(one,) for one in held.details],
    )


def _copy_object(copy: HeldCopy, held: Held) -> dict[str, Any]:
    send = held.received[copy.send_id]
    links = held.links.get(copy.send_id, {})
    return {
        "send_id": copy.send_id,
        "copy_id": str(copy.copy_id),
        "accepted_at": format_instant(send.accepted_at),
        "relayed_at": None if copy.relayed_at is None else format_instant(copy.relayed_at),
        "message_id": send.message_id,
        "sender": send.sender,
        "subject": send.subject,
        "recipient": copy.recipient,
        "recipient_type": copy.recipient_type,
        "tracking_mode": copy.mode.value,
        "others_with_this_copy": copy.people - 1,
        "verdict": next((one for one in send.verdict if _is_about(one, held.address)), None),
        "links": [
            {"link_id": str(slot), "url": link.url, "text": link.text}
            for slot, link in sorted(links.items())
        ],
        "tags": list(send.tags),
        "metadata": dict(send.metadata),
    }


def _is_about(one: Mapping[str, Any], address: Address) -> bool:
    return address_key(str(one.get("recipient", ""))) == address.key


def _event_of(event: Event, address: Address) -> dict[str, Any]:
    """Return an event; of a shared one, that he is a candidate, and how many others are."""
    shown = event_object(event)
    if event.candidates:
        shown["candidates"] = [one for one in event.candidates if address_key(one) == address.key]
        shown["other_candidates"] = len(event.candidates) - 1
    return shown


def _hit_object(hit: RecordedHit) -> dict[str, Any]:
    return {
        "hit_id": hit.hit_id,
        "at": format_instant(hit.at),
        "kind": hit.kind.value,
        "copy_id": str(hit.copy_id),
        "url": hit.url,
        "features": dict(hit.features),
    }


def _sent_object(send: HeldSend) -> dict[str, Any]:
    return {
        "send_id": send.send_id,
        "accepted_at": format_instant(send.accepted_at),
        "message_id": send.message_id,
        "sender": send.sender,
        "account": send.account,
        "client": send.client,
        "subject": send.subject,
        "size_bytes": send.size_bytes,
        "recipients": [one.get("recipient") for one in send.verdict],
        "tags": list(send.tags),
        "metadata": dict(send.metadata),
    }


def _account_object(account: Account) -> dict[str, Any]:
    return {
        "address": account.address,
        "role": account.role.value,
        "send_as": list(account.send_as),
        "password": account.password_hash is not None,
        "disabled": account.disabled,
    }


def _told_object(told: ConsentTold) -> dict[str, Any]:
    return {
        "state": told.state.value,
        "at": format_instant(told.at),
        "method": told.method.value,
        "source": told.source,
        "text": told.text,
        "actor": told.actor,
    }


def _captured_object(copy: CapturedCopy) -> dict[str, Any]:
    return {
        "copy_id": str(copy.copy_id),
        "send_id": copy.send_id,
        "captured_at": format_instant(copy.captured_at),
        "sender": copy.sender,
        "subject": copy.subject,
        "mail": base64.b64encode(copy.raw).decode(),
    }


def _audit_object(row: AuditRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": format_instant(row.entry.at),
        "action": row.entry.action,
        "detail": dict(row.entry.detail),
    }


def _section(
    title: str, rows: Sequence[Sequence[object]], *, always: bool = False
) -> Iterator[str]:
    if rows or always:
        yield ""
        yield title
        yield from table(rows, "  ") if rows else ()


def _copy_row(copy: HeldCopy, held: Held) -> tuple[str, ...]:
    send = held.received[copy.send_id]
    others = f"and {copy.people - 1} others" if copy.people > 1 else ""
    return (
        _when(send.accepted_at),
        copy.recipient_type,
        send.sender or "<>",
        plain_text(send.subject or ""),
        copy.mode.value,
        others,
    )


def _event_row(event: Event) -> tuple[str, ...]:
    who = f"someone of {len(event.candidates)}" if event.candidates else event.recipient or ""
    return _when(event.timestamp), tell_what(event), who, plain_text(tell_more(event))


def _hit_row(hit: RecordedHit) -> tuple[str, ...]:
    said = hit.features
    return (
        _when(hit.at),
        hit.kind.value,
        str(said.get("ip_address") or ""),
        plain_text(said.get("agent") or ""),
    )


def _sent_row(send: HeldSend) -> tuple[str, ...]:
    people = ", ".join(str(one.get("recipient")) for one in send.verdict)
    return _when(send.accepted_at), plain_text(send.subject or ""), people


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
