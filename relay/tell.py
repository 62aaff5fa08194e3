"""The log's lines of one settlement, each with the send_id of the mail it is about.

A report has a send_id of its own, which is `report` in the line of the mail it reports on.
"""

from collections.abc import Mapping

import structlog

from ledger.event import format_instant
from ledger.fate import Fate
from relay.promise import Claim, Settlement, Stored
from relay.reply import Deferred, Delivered, Failed, Outcome

_EVENTS: Mapping[type[Outcome], str] = {
    Delivered: "copy.delivered",
    Deferred: "copy.deferred",
    Failed: "copy.failed",
}

_log = structlog.get_logger()


def tell_settlement(claim: Claim, settlement: Settlement, *, held: bool) -> None:
    """Log what became of a copy: one line for each kind of outcome, then the reports it made."""
    names = {"copy_id": claim.copy.copy_id, "send_id": claim.copy.send_id}
    if not held:
        _log.warning("copy.lease_lost", **names)
        return
    if settlement.withdrawn is not None:
        _log.info("copy.withdrawn", **names, why=settlement.withdrawn)
    for kind, event in _EVENTS.items():
        some = [outcome for _, outcome in settlement.outcomes if isinstance(outcome, kind)]
        if some:
            _log.info(
                event,
                **names,
                upstream=settlement.upstream,
                recipients=len(some),
                reply=str(some[0].reply),
                **_when(settlement, kind),
            )
    if any(
        isinstance(outcome, Deferred) and outcome.ambiguous for _, outcome in settlement.outcomes
    ):
        # promises.md D12: it is sent again with the same bytes, so a second one can be told.
        _log.warning("copy.ambiguous", **names, upstream=settlement.upstream)
    failed = any(isinstance(outcome, Failed) for _, outcome in settlement.outcomes)
    bounced = failed and claim.sender is not None and claim.fate is not Fate.SILENT
    for number, notice in enumerate(settlement.notices):
        event = "bounce.queued" if bounced and number == 0 else "delay_notice.queued"
        _log.info(event, **names, **_report(notice))
    if settlement.fate is Fate.DEAD:
        # RFC 5321 6.1: a report is never answered by a report.
        _log.warning("dead_letter.kept", **names)


def _when(settlement: Settlement, kind: type[Outcome]) -> dict[str, object]:
    attempt = 0 if settlement.tries is None else settlement.tries.attempts
    if kind is Deferred and settlement.due_at is not None:
        return {"attempt": attempt, "due_at": format_instant(settlement.due_at)}
    return {"attempt": attempt}


def _report(notice: Stored) -> dict[str, object]:
    return {"report": notice.submission.send_id, "message_id": notice.fact.message_id}
