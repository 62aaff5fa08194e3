"""Consent: what holds, what was told of somebody, and telling it."""

from collector.console.api.asked import ConsentTelling, PageAsked, SubjectAsked
from collector.console.api.caller import Caller
from collector.console.api.cursor import read_cursor, write_cursor
from ledger.consent import Subject
from ledger.consents import (
    ConsentTold,
    consent_history,
    consent_holding,
    list_consents,
    record_telling,
    told_object,
)

_ORDER = "consent"


async def list_consent(caller: Caller, asked: PageAsked) -> dict[str, object]:
    """Return a page of what holds, by subject."""
    after = read_cursor(_ORDER, asked.cursor) if asked.cursor else ""
    async with caller.desk.ledger.read() as connection:
        page = await list_consents(connection, asked.limit, after)
    more = len(page) == asked.limit
    return {
        "consents": [told_object(subject, told) for subject, told in page],
        "next_cursor": write_cursor(_ORDER, page[-1][0].key) if more else None,
    }


async def tell_consent(caller: Caller, asked: SubjectAsked) -> dict[str, object]:
    """Return what holds for an address or domain, and all that was told of it."""
    return await _shown(caller, asked.subject)


async def set_consent(caller: Caller, asked: ConsentTelling) -> dict[str, object]:
    """Record what was told of an address or domain; return what holds then."""
    author = caller.author
    told = ConsentTold(asked.state, author.at, asked.method, author.actor, asked.source, asked.text)
    await record_telling(caller.desk.ledger, asked.subject, told, author)
    return await _shown(caller, asked.subject)


async def _shown(caller: Caller, subject: Subject) -> dict[str, object]:
    async with caller.desk.ledger.read() as connection:
        holds = await consent_holding(connection, subject, caller.desk.audit_key)
        history = await consent_history(connection, subject)
    return {
        "subject": subject.shown,
        "state": holds.value,
        "history": [told_object(subject, told) for told in history],
    }
