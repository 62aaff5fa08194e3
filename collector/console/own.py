"""What of the mail a person may see, and that he has looked."""

from datetime import UTC, datetime, timedelta

from aiohttp import web

from collector.console.desk import DESK
from collector.console.page import PERSON
from ledger.audit import Author, SubjectKind, author_of, is_recorded, record_audit
from ledger.engine import Store
from ledger.owner import Owner
from ledger.role import Role

LOOK = timedelta(minutes=10)
"""A page that stays open draws itself anew with each event: that is one look for so long."""


def owner_for(request: web.Request) -> Owner | None:
    """Return whose mail alone may be shown: a user sees his own; None: everybody's."""
    person = request[PERSON]
    if person.role is not Role.USER:
        return None
    return Owner(key=person.key or "", account=person.name)


async def record_view(
    request: web.Request, action: str, subject: str, kind: SubjectKind = SubjectKind.SEND
) -> None:
    """Record that somebody looks at a mail or a recipient: once a look, however drawn.

    It hangs on no field of the request, so no field leaves it out; only HEAD shows nothing.
    """
    if request.method == "HEAD":
        return
    desk, person = request.app[DESK], request[PERSON]
    author = author_of(person.key, datetime.now(UTC), desk.audit_key)
    await record_look(desk.ledger, author, action, subject, kind)


async def record_look(
    ledger: Store,
    author: Author,
    action: str,
    subject: str,
    kind: SubjectKind = SubjectKind.SEND,
) -> None:
    """Record that somebody looks at a mail or a recipient, unless it is the same look still."""
    entry = author.entry(action, kind, subject)
    async with ledger.read() as connection:
        if await is_recorded(connection, entry, since=author.at - LOOK):
            return
    async with ledger.write() as connection:
        await record_audit(connection, entry)
