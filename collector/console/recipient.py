"""The page of one recipient: what he was sent, what he did with it, what he consents to."""

from aiohttp import web

from collector.console.desk import DESK
from collector.console.own import owner_for, record_view
from collector.console.page import render_page
from ledger.address import AddressError, parse_address
from ledger.audit import SubjectKind
from ledger.consents import consents_of
from ledger.ident import is_ident
from ledger.received import list_received, summarise_received

PAGE_SENDS = 40


async def show_recipient(request: web.Request) -> web.Response:
    """Tell all that is known of a recipient; to a user, what concerns his own mail."""
    desk, owner = request.app[DESK], owner_for(request)
    try:
        address = parse_address(request.match_info["address"])
    except AddressError:
        raise web.HTTPNotFound(
            text="This is no mail address. Write it as /recipients/name@example.com."
        ) from None
    given = request.query.get("before", "")
    before = given if is_ident(given) else None
    async with desk.ledger.read() as connection:
        received = await summarise_received(connection, address.key, owner)
        page = await list_received(connection, address.key, PAGE_SENDS + 1, before, owner)
        consents = await consents_of(connection, [address], desk.audit_key)
    await record_view(request, "recipient.viewed", address.key, SubjectKind.RECIPIENT)
    shown = {
        "address": address,
        "received": received,
        "sends": page[:PAGE_SENDS],
        "before": before,
        "older": page[PAGE_SENDS - 1].send_id if len(page) > PAGE_SENDS else None,
        # To whom a user has never written is none of his business.
        "consent": consents.of(address) if owner is None or received.sends else None,
        "unknown": desk.tracking.unknown_consent,
        "own": owner is not None,
    }
    return render_page(request, "recipient.html", shown)
