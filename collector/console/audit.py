"""The page of the audit log: who did what, the latest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from collector.console.desk import DESK
from collector.console.names import account_names
from collector.console.page import read_number, render_page
from collector.console.wording import tell_detail
from ledger.address import AddressError, parse_address
from ledger.audit import AuditRow, pseudonym, read_head, select_audit

PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An entry with the names of those whose accounts are known."""

    number: int
    at: datetime
    action: str
    actor: str
    subject_kind: str | None
    subject: str
    detail: str


async def show_audit(request: web.Request) -> web.Response:
    """List entries; `about` is an address to narrow them to, `before` the number to go on from."""
    key = request.app[DESK].audit_key
    given = request.query.get("about", "").strip()
    about, refused = _about(key, given)
    before = read_number(request.query.get("before", ""))
    async with request.app[DESK].ledger.read() as connection:
        names = await account_names(connection, key)
        head = await read_head(connection)
        rows = (
            ()
            if refused
            else await select_audit(connection, before=before, about=about, limit=PAGE_ROWS)
        )
    shown = {
        "lines": tuple(_line(row, names) for row in rows),
        "head": head,
        "about": given,
        "refused": refused,
        "before": before,
        "older": rows[-1].number if len(rows) == PAGE_ROWS else None,
    }
    return render_page(request, "audit.html", shown, status=422 if refused else 200)


def _about(key: bytes, given: str) -> tuple[str | None, str]:
    """Return the pseudonym asked for, and why it is none."""
    if not given:
        return None, ""
    try:
        return pseudonym(key, parse_address(given).key), ""
    except AddressError:
        return None, f"{given!r} is no mail address. Write name@example.com."


def _line(row: AuditRow, names: Mapping[str, str]) -> AuditLine:
    entry = row.entry
    return AuditLine(
        number=row.number,
        at=entry.at.astimezone(UTC),
        action=entry.action,
        actor=names.get(entry.actor, entry.actor),
        subject_kind=entry.subject_kind,
        subject=names.get(entry.subject or "", entry.subject or ""),
        detail=tell_detail(entry.detail),
    )
