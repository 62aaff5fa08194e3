"""The page of policy: the switch for everybody, what is in force, the rules that admins keep.

Law: no change is recorded without a reason and who made it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aiohttp import web
from yarl import URL

from collector.console.desk import DESK, Desk
from collector.console.draft import Draft, kept_rule, read_draft, read_reason, words_of
from collector.console.names import account_names
from collector.console.page import PERSON, read_number, render_page
from collector.console.pair import read_pair
from collector.console.rehearsal import Rehearsal, rehearse
from config.settings import Rule
from ledger.audit import SubjectKind, author_of
from ledger.consents import consents_of
from ledger.mode import TrackingMode
from ledger.policies import (
    KeptPolicy,
    PolicyChange,
    change_rule,
    kept_policy,
    policy_history,
    record_policy_change,
)
from ledger.treated import PastSend, latest_treated

PAGE_CHANGES = 30

REHEARSED_SENDS = 1000
"""A day to a week of an office: what an admin remembers, read in about a second."""
_MAX_COPIES = 20_000
"""Of all these sends; a few mails to thousands must not hold the page up."""
_SENDS_AT_ONCE = 10
"""Other pages wait while their verdicts are unpacked: of ten to a thousand, a quarter second."""

_DONE = {
    "off": "Tracking is off for everybody. Relays heed it within 5 seconds.",
    "on": "Tracking is on again, as far as rules and consent let it.",
    "saved": "The rule is saved. Relays heed it within 5 seconds.",
    "removed": "The rule is removed.",
}
_MEANWHILE = (
    "Somebody has changed or made a rule of this name since this page was drawn. Look again."
)


@dataclass(frozen=True, slots=True)
class _Form:
    """A form about one rule."""

    words: Mapping[str, str]
    editing: bool
    """It is about a rule that is kept already, whose name stays."""
    seen: int
    """The number of the last change when the form was drawn."""


async def show_policy(request: web.Request) -> web.Response:
    """Show what is in force, for all and for one pair, and who changed what."""
    return await _page(request, status=422 if read_pair(request.query).faults else 200)


async def switch_tracking(request: web.Request) -> web.StreamResponse:
    """Switch tracking off or on for everybody."""
    form = _texts(await request.post())
    tracking = {"on": True, "off": False}.get(form.get("tracking", ""))
    reason, fault = read_reason(form.get("reason", ""))
    if tracking is None:
        fault = fault or "Choose on or off."
    if tracking is None or fault:
        return await _page(request, {"reason": reason, "fault": fault}, status=422)
    desk, person = request.app[DESK], request[PERSON]
    author = author_of(person.key, datetime.now(UTC), desk.audit_key)
    detail = {"tracking": tracking}
    entry = author.entry("policy.switched", SubjectKind.POLICY, None, detail)
    change = PolicyChange(author.at, author.actor, reason, None, tracking)
    await record_policy_change(desk.ledger, change, entry)
    return _back("on" if tracking else "off")


async def show_rule(request: web.Request) -> web.Response:
    """Show the form of a kept rule, or of a new one."""
    kept = await _kept(request.app[DESK])
    name = request.query.get("name", "")
    if name and name not in kept.rules:
        raise web.HTTPNotFound(text="There is no rule of this name any more.")
    words = words_of(name, kept.rules.get(name, {}))
    return _rule_page(request, _Form(words, bool(name), kept.number))


async def draft_rule(request: web.Request) -> web.StreamResponse:
    """Show what a rule would have changed, or save it."""
    desk = request.app[DESK]
    given = _texts(await request.post())
    draft, form = await _read(desk, given)
    if draft.rule is None:
        return _rule_page(request, form, draft.faults)
    if given.get("do") != "save":
        rehearsal = await _rehearse(desk, draft.rule)
        return _rule_page(request, form, rehearsal=rehearsal)
    change = await _change(request, draft, kept_rule(draft.rule), form.seen)
    return _back("saved") if change else _rule_page(request, form, {"name": _MEANWHILE})


async def remove_rule(request: web.Request) -> web.StreamResponse:
    """Remove a rule that admins keep."""
    desk = request.app[DESK]
    given = _texts(await request.post())
    kept = await _kept(desk)
    name = given.get("name", "").strip()
    if name not in kept.rules:
        raise web.HTTPNotFound(text="There is no rule of this name any more.")
    words = words_of(name, kept.rules[name])
    reason, fault = read_reason(given.get("reason", ""))
    form = _Form(words, editing=True, seen=read_number(given.get("seen", "")) or 0)
    if fault:
        return _rule_page(request, form, {"removal": fault}, removal=reason)
    if await _change(request, Draft({**words, "reason": reason}, None), None, form.seen):
        return _back("removed")
    return _rule_page(request, form, {"removal": _MEANWHILE}, removal=reason)


async def _read(desk: Desk, given: Mapping[str, str]) -> tuple[Draft, _Form]:
    draft = read_draft(given)
    kept, name = await _kept(desk), draft.words["name"]
    editing = given.get("editing") == "yes"
    form = _Form(draft.words, editing, read_number(given.get("seen", "")) or 0)
    fault = ""
    if any(rule.name == name for rule in desk.rules):
        fault = "The configuration has a rule of this name. Take another."
    elif editing and name not in kept.rules:
        fault = "There is no rule of this name any more. Add it anew."
    elif not editing and name in kept.rules:
        fault = "There is a rule of this name. Change that one, or take another name."
    if fault:
        draft = replace(draft, rule=None, faults={**draft.faults, "name": fault})
    return draft, form


async def _change(
    request: web.Request, draft: Draft, value: Mapping[str, object] | None, seen: int
) -> bool:
    desk, name = request.app[DESK], draft.words["name"]
    author = author_of(request[PERSON].key, datetime.now(UTC), desk.audit_key)
    # Patterns and reason may hold addresses, and an audit entry has none: they are in the history.
    action = "policy.rule_removed" if value is None else "policy.rule_set"
    entry = author.entry(action, SubjectKind.POLICY, name)
    change = PolicyChange(author.at, author.actor, draft.reason, name, value)
    return await change_rule(desk.ledger, change, entry, seen)


async def _rehearse(desk: Desk, rule: Rule) -> Rehearsal:
    sends: list[PastSend] = []
    copies = 0
    while len(sends) < REHEARSED_SENDS and copies < _MAX_COPIES:
        before = sends[-1].send_id if sends else None
        async with desk.ledger.read() as connection:
            page = await latest_treated(connection, _SENDS_AT_ONCE, before)
        sends += page
        copies += sum(len(send.copies) for send in page)
        if len(page) < _SENDS_AT_ONCE:
            break
    return await asyncio.to_thread(rehearse, rule, sends, desk.audit_key)


async def _page(
    request: web.Request, refused: Mapping[str, str] | None = None, status: int = 200
) -> web.Response:
    desk = request.app[DESK]
    before = read_number(request.query.get("before", ""))
    asked = read_pair(request.query)
    async with desk.ledger.read() as connection:
        kept = await kept_policy(connection)
        history = await policy_history(connection, PAGE_CHANGES + 1, before)
        names = await account_names(connection, desk.audit_key)
        about = () if asked.pair is None else (asked.pair.recipient,)
        consents = await consents_of(connection, about, desk.audit_key)
    shown = {
        "asked": asked,
        "decided": () if asked.pair is None else desk.decide(asked.pair, kept, consents),
        "kept": kept,
        "tracking": desk.tracking,
        "rules": [(rule.name, rule.model_dump()) for rule in desk.rules],
        "history": history[:PAGE_CHANGES],
        "names": names,
        "older": history[PAGE_CHANGES - 1].number if len(history) > PAGE_CHANGES else None,
        "before": before,
        "done": _DONE.get(request.query.get("done", ""), ""),
        "refused": refused or {"reason": "", "fault": ""},
    }
    return render_page(request, "policy.html", shown, status=status)


def _rule_page(
    request: web.Request,
    form: _Form,
    faults: Mapping[str, str] | None = None,
    *,
    rehearsal: Rehearsal | None = None,
    removal: str = "",
) -> web.Response:
    shown = {
        "form": form,
        "faults": faults or {},
        "rehearsal": rehearsal,
        "removal": removal,
        "modes": tuple(reversed(TrackingMode)),
    }
    return render_page(request, "policy_rule.html", shown, status=422 if faults else 200)


async def _kept(desk: Desk) -> KeptPolicy:
    async with desk.ledger.read() as connection:
        return await kept_policy(connection)


def _texts(form: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _back(done: str) -> web.Response:
    location = str(URL("/policy").with_query(done=done))
    return web.Response(status=303, headers={"Location": location})
