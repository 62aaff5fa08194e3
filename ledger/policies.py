"""The record of policy: rules kept by admins, and the switch for everybody.

Law: what holds is the last change of a rule, and no change is ever rewritten, but for an address
that is forgotten (ledger.impersonal).
Each function on a connection is one step inside the caller's transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, null, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit import AuditEntry, record_audit
from ledger.engine import Store
from ledger.schema import policy_changes

Rule = Mapping[str, Any]
"""A rule as `[[rule]]` has it, without its name; keys that are left out match all."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Who changed what, when and why."""

    at: datetime
    actor: str
    reason: str
    rule: str | None
    """The rule's name; None: the switch for everybody."""
    value: Rule | bool | None
    """The rule as it is now, None where it was removed; of the switch, whether tracking is on."""
    number: int = 0
    """Given by the record; later ones are greater."""


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """What admins have said, as it holds."""

    rules: Mapping[str, Rule]
    """By name."""
    tracking: bool
    """False: off for everybody."""
    number: int
    """Of the last change; 0: there was none."""


async def change_policy(connection: AsyncConnection, change: PolicyChange) -> int:
    """Record a change and return its number."""
    statement = insert(policy_changes).values(
        at=change.at,
        actor=change.actor,
        reason=change.reason,
        rule=change.rule,
        value=null() if change.value is None else change.value,
    )
    returning = await connection.execute(statement.returning(policy_changes.c.number))
    return int(returning.scalar_one())


async def record_policy_change(ledger: Store, change: PolicyChange, entry: AuditEntry) -> int:
    """Record a change and who made it, in one transaction; return its number."""
    async with ledger.write() as connection:
        await record_audit(connection, entry)
        return await change_policy(connection, change)


async def last_policy_change(connection: AsyncConnection) -> int:
    """Return the number of the last change; 0: there was none."""
    return int(await connection.scalar(select(func.max(policy_changes.c.number))) or 0)


async def kept_policy(connection: AsyncConnection) -> KeptPolicy:
    """Return the rules and the switch as they hold."""
    table = policy_changes.c
    last = select(func.max(table.number)).group_by(table.rule)
    statement = select(table.number, table.rule, table.value).where(table.number.in_(last))
    rules: dict[str, Rule] = {}
    tracking, number = True, 0
    for row in await connection.execute(statement):
        number = max(number, row.number)
        if row.rule is None:
            tracking = bool(row.value)
        elif row.value is not None:
            rules[row.rule] = row.value
    return KeptPolicy(dict(sorted(rules.items())), tracking, number)


async def is_tracking_on(connection: AsyncConnection) -> bool:
    """Tell how the switch for everybody stands."""
    table = policy_changes.c
    switch = select(table.value).where(table.rule.is_(None)).order_by(table.number.desc()).limit(1)
    return (await connection.scalar(switch)) is not False


async def policy_history(
    connection: AsyncConnection, limit: int, before: int | None = None, rule: str | None = None
) -> tuple[PolicyChange, ...]:
    """Return changes, latest first; of one rule, or of all with the switch."""
    table = policy_changes.c
    earlier: ColumnElement[bool] = true() if before is None else table.number < before
    of_rule: ColumnElement[bool] = true() if rule is None else table.rule == rule
    statement = (
        select(policy_changes).where(earlier, of_rule).order_by(table.number.desc()).limit(limit)
    )
    return tuple(
        PolicyChange(row.at, row.actor, row.reason, row.rule, row.value, row.number)
        for row in await connection.execute(statement)
    )


async def change_rule(ledger: Store, change: PolicyChange, entry: AuditEntry, seen: int) -> bool:
    """Record a change of a rule and who made it, as record_policy_change does.

    False where the rule has changed since the change numbered `seen`, and nothing is recorded.
    """
    async with ledger.write() as connection:
        last = await policy_history(connection, 1, rule=change.rule)
        if last and last[0].number > seen:
            return False
        await record_audit(connection, entry)
        await change_policy(connection, change)
    return True
