"""How recipients of past sends were treated, as it was recorded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.fact import UNOBSERVED, unpack_verdict
from ledger.mode import TrackingMode
from ledger.schema import sends


@dataclass(frozen=True, slots=True)
class Treated:
    """What could be told of a recipient."""

    mode: TrackingMode
    opens: bool
    clicks: str
    """none, html, text or html+text."""


@dataclass(frozen=True, slots=True)
class PastCopy:
    """One recipient of a send, and how he was treated."""

    recipient: str
    treated: Treated
    rules: frozenset[str]
    """Names of the rules that decided a value of it."""


@dataclass(frozen=True, slots=True)
class PastSend:
    """One send, as far as rules look at it."""

    send_id: str
    accepted_at: datetime
    sender: str | None
    account: str | None
    subject: str | None
    copies: tuple[PastCopy, ...]


async def latest_treated(
    connection: AsyncConnection, limit: int, before: str | None = None
) -> tuple[PastSend, ...]:
    """Return sends, the latest first; `before` is the last `send_id` of the page before.

    Of what was only observed, what would have been done counts.
    """
    table = sends.c
    earlier: ColumnElement[bool] = true() if before is None else table.send_id < before
    # The primary key serves: names of sends sort as their moments do.
    statement: Select[Any] = (
        select(
            table.send_id,
            table.accepted_at,
            table.sender,
            table.account,
            table.subject,
            table.verdict,
        )
        .where(earlier)
        .order_by(table.send_id.desc())
        .limit(limit)
    )
    return tuple(map(_past_send, await connection.execute(statement)))


def _past_send(row: Row[Any]) -> PastSend:
    verdict = unpack_verdict(row.verdict)
    said = tuple(_past_copy(one.get(UNOBSERVED, one)) for one in verdict)
    return PastSend(row.send_id, row.accepted_at, row.sender, row.account, row.subject, said)


def _past_copy(one: Any) -> PastCopy:  # noqa: ANN401 - an object of JSON
    treated = Treated(TrackingMode(one["mode"]), bool(one["opens"]), str(one["clicks"]))
    reasons = one.get("reasons", ())
    rules = frozenset(str(why["name"]) for why in reasons if why["because"] == "rule")
    return PastCopy(str(one["recipient"]), treated, rules)
