"""One recipient: what he was sent, what he did with it, what holds of his consent."""

from collector.console.api.asked import RecipientAsked
from collector.console.api.caller import Caller
from collector.console.api.cursor import read_name_cursor, write_cursor
from collector.console.own import record_look
from ledger.audit import SubjectKind
from ledger.consents import consents_of
from ledger.event import format_instant
from ledger.received import Acts, ReceivedSend, list_received, summarise_received

_ORDER = "received"


async def tell_recipient(caller: Caller, asked: RecipientAsked) -> dict[str, object]:
    """Return what is known of a recipient, and a page of what he was sent, the latest first."""
    desk, address = caller.desk, asked.address
    before = read_name_cursor(_ORDER, asked.cursor)
    async with desk.ledger.read() as connection:
        received = await summarise_received(connection, address.key)
        page = await list_received(connection, address.key, asked.limit, before)
        consents = await consents_of(connection, [address], desk.audit_key)
    if caller.request.method != "HEAD":
        kind = SubjectKind.RECIPIENT
        await record_look(desk.ledger, caller.author, "recipient.viewed", address.key, kind)
    more = len(page) == asked.limit
    return {
        "recipient": str(address),
        "consent": consents.of(address).value,
        "sends": received.sends,
        "opened": _acts_object(received.opened),
        "clicked": _acts_object(received.clicked),
        "not_counted": received.not_counted,
        "messages": [_received_object(one) for one in page],
        "next_cursor": write_cursor(_ORDER, page[-1].send_id) if more else None,
    }


def _received_object(one: ReceivedSend) -> dict[str, object]:
    return {
        "send_id": one.send_id,
        "accepted_at": format_instant(one.accepted_at),
        "sender": one.sender,
        "subject": one.subject,
        "tracking_mode": one.mode.value,
        "state": one.state.value,
        "opened": _acts_object(one.opened),
        "clicked": _acts_object(one.clicked),
    }


def _acts_object(acts: Acts) -> dict[str, object]:
    last_at = None if acts.last_at is None else format_instant(acts.last_at)
    return {"times": acts.times, "last_at": last_at}
