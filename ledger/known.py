"""What a relay last knew of policy and consent, in its spool.

Mail does not wait for the ledger: where it can not be read, this holds.
Each function is one step inside the caller's transaction, in the spool's thread
(Store.transact).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from ledger.consent import Consent
from ledger.consents import KeptConsent
from ledger.policies import KeptPolicy
from ledger.schema import known_consents, known_policy


@dataclass(frozen=True, slots=True)
class Known:
    """All that was known last."""

    policy: KeptPolicy
    consents_number: int
    """Of the last change of a consent."""
    granted: frozenset[str]
    """`Subject.key`."""
    denied: frozenset[str]
    """`Subject.denial_key`."""


def recall(connection: Connection) -> Known | None:
    """Return what was known last; None where nothing ever was."""
    row = connection.execute(select(known_policy)).one_or_none()
    if row is None:
        return None
    table = known_consents.c
    told = connection.execute(select(table.subject, table.denial_key, table.state)).all()
    return Known(
        KeptPolicy(row.rules, row.tracking, row.number),
        row.consents_number,
        frozenset(subject for subject, _, state in told if state == Consent.GRANTED),
        frozenset(denial_key for _, denial_key, state in told if state == Consent.DENIED),
    )


def remember_policy(connection: Connection, policy: KeptPolicy, consents_number: int) -> None:
    """Keep what holds, and how far the consents are known."""
    connection.execute(delete(known_policy))
    connection.execute(
        insert(known_policy).values(
            one=1,
            number=policy.number,
            consents_number=consents_number,
            tracking=policy.tracking,
            rules=dict(policy.rules),
        )
    )


def renew_policy(connection: Connection, policy: KeptPolicy) -> None:
    """Keep what holds in the place of what held, where anything was known."""
    last = recall(connection)
    if last is not None and last.policy.number < policy.number:
        remember_policy(connection, policy, last.consents_number)


_BY_SUBJECT = delete(known_consents).where(
    known_consents.c.subject.in_(bindparam("subjects", expanding=True))
)
_DENIED = select(known_consents.c.denial_key).where(
    known_consents.c.denial_key.in_(bindparam("keys", expanding=True)),
    known_consents.c.state == Consent.DENIED.value,
)


def remember_consents(connection: Connection, kept: Sequence[KeptConsent]) -> None:
    """Keep changed consents; of an unknown one nothing is kept."""
    connection.execute(_BY_SUBJECT, {"subjects": [one.subject.key for one in kept]})
    rows = [
        {
            "subject": one.subject.key,
            "denial_key": one.subject.denial_key,
            "state": one.state.value,
        }
        for one in kept
        if one.state is not Consent.UNKNOWN
    ]
    if rows:
        connection.execute(insert(known_consents), rows)


def denied_among(connection: Connection, denial_keys: Collection[str]) -> frozenset[str]:
    """Return those of some denial keys under which anything is denied."""
    return frozenset(connection.execute(_DENIED, {"keys": sorted(denial_keys)}).scalars())
