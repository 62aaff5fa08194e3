"""What of the mail a person may see, and that he has looked."""

from datetime import UTC, datetime

from aiohttp import web

from collector.console.desk import DESK
from collector.console.page import PERSON
from ledger.audit import SubjectKind, author_of, record_audit
from ledger.owner import Owner
from ledger.role import Role


def owner_for(request: web.Request) -> Owner | None:
    """Return whose mail alone may be shown: a user sees his own; None: everybody's."""
    person = request[PERSON]
    if person.role is not Role.USER:
        return None
    return Owner(key=person.key or "", account=person.name)


async def record_view(request: web.Request, send_id: str) -> None:
    """Record that somebody looks at a mail and who did what with it.

    A page that draws itself anew is the same look, and a HEAD shows nothing.
    """
    if request.method != "GET" or "HX-Request" in request.headers:
        return
    desk, person = request.app[DESK], request[PERSON]
    author = author_of(person.key, datetime.now(UTC), desk.audit_key)
    async with desk.ledger.write() as connection:
        await record_audit(connection, author.entry("send.viewed", SubjectKind.SEND, send_id))
