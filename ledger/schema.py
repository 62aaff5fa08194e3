"""The tables of both stores, each index named for the query it serves.

`ledger` and `spool` are two SQLite files, or two schemas of one PostgreSQL database; `spill` is
always a SQLite file.  All are moved forward by `ledger/migrations`; a test holds migrations and
tables together.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as microseconds since 1970 UTC: alike and sortable on every engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        """Return the instant in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


# SQLite counts only in a column of exactly INTEGER; PostgreSQL needs 64 bits.
_Counter = BigInteger().with_variant(Integer, "sqlite")

_names = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
}

spool = MetaData(naming_convention=_names)
"""What was promised with 250, kept until settled; written by the relay."""

spooled_sends = Table(
    "spooled_sends",
    spool,
    Column("send_id", String(26), primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("sender", Text, comment="reverse-path; null for <>"),
    Column("account", Text),
    Column("smtputf8", Boolean, nullable=False),
    Column("body_8bit", Boolean, nullable=False),
    Column("message_id", Text),
    Column("subject", Text),
    Column("template", LargeBinary, nullable=False, comment="encoded Template, versioned"),
    Column("credential", LargeBinary, comment="sealed: relay.seal; null: it goes as ourselves"),
)

spooled_copies = Table(
    "spooled_copies",
    spool,
    Column("copy_id", BigInteger, primary_key=True, autoincrement=False),
    Column("send_id", ForeignKey("spooled_sends.send_id", ondelete="CASCADE"), nullable=False),
    Column("mode", String(10), nullable=False),
    Column("layout", Integer, comment="null: the original"),
    Column("key_id", Integer, nullable=False),
    Column("lane", Text, nullable=False, default="", comment="the upstream it waits for"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Instant, nullable=False),
    Column("held", Boolean, nullable=False, default=False),
    Column("lease", String(26), comment="who claimed it; null: nobody"),
    Column("leased_until", Instant),
    Column("lessee", String(26), comment="the process that claimed it"),
    Column("delay_noticed", Boolean, nullable=False, default=False),
    Column("tried_at", Instant, comment="the last attempt"),
    Column(
        "waited_s", Float, nullable=False, default=0, comment="of its life, that clocks agree on"
    ),
    Column("upstream", Text, comment="who was tried last"),
    Column("fate", String(6), comment="ledger.fate.Fate; null: it is to be delivered"),
    # claim: what is due, oldest first
    Index("ix_spooled_copies_due", "held", "due_at"),
    # the same of one upstream, whose mail may have to wait while that of others goes on
    Index("ix_spooled_copies_lane", "lane", "held", "due_at"),
    Index("ix_spooled_copies_send", "send_id"),
)

spooled_recipients = Table(
    "spooled_recipients",
    spool,
    Column(
        "copy_id",
        ForeignKey("spooled_copies.copy_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("recipient", Text, nullable=False),
    Column("recipient_type", String(3), nullable=False),
    Column("state", String(9), nullable=False, comment="pending, delivered or failed"),
    Column("reply", Text, comment="the last reply for this recipient"),
)

captured_copies = Table(
    "captured_copies",
    spool,
    Column("copy_id", BigInteger, primary_key=True, autoincrement=False),
    Column("send_id", String(26), nullable=False),
    Column("captured_at", Instant, nullable=False),
    Column("sender", Text),
    Column("recipients", JSON, nullable=False, comment='[["to", "a@example.com"], …]'),
    Column("mode", String(10), nullable=False),
    Column("subject", Text),
    Column("raw", LargeBinary, nullable=False, comment="unstuffed, as the recipient gets it"),
    Index("ix_captured_copies_time", "captured_at"),
    Index("ix_captured_copies_send", "send_id"),
)

queue_acts = Table(
    "queue_acts",
    spool,
    Column("number", _Counter, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False, comment="as in the audit log"),
    Column("action", String(8), nullable=False),
    Column("copy_id", BigInteger, nullable=False),
    Column("send_id", String(26), nullable=False),
    comment="what people did to copies, until the relay has told it in its log",
    sqlite_autoincrement=True,
)

owed_facts = Table(
    "owed_facts",
    spool,
    Column("number", _Counter, primary_key=True, autoincrement=True),
    Column("fact", JSON, nullable=False, comment="docs: ledger.fact"),
    sqlite_autoincrement=True,
)

owed_mails = Table(
    "owed_mails",
    spool,
    Column("name", String(26), primary_key=True, comment="becomes its send_id"),
    Column("at", Instant, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    comment="mail of our own to recipients, until the relay has made it mail",
)

known_consents = Table(
    "known_consents",
    spool,
    Column("subject", Text, primary_key=True, comment="Subject.key"),
    Column("denial_key", Text, nullable=False, comment="Subject.denial_key"),
    Column("state", String(7), nullable=False, comment="granted or denied"),
    # what is denied for an address and its details
    Index("ix_known_consents_denial", "denial_key"),
)

known_policy = Table(
    "known_policy",
    spool,
    Column("one", Integer, primary_key=True, autoincrement=False, comment="there is one row"),
    Column("number", BigInteger, nullable=False, comment="of the policy change that holds"),
    Column("consents_number", BigInteger, nullable=False, comment="of the last consent known"),
    Column("tracking", Boolean, nullable=False),
    Column("rules", JSON, nullable=False),
)

refused_facts = Table(
    "refused_facts",
    spool,
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="as it was owed"),
    Column("fact", JSON, nullable=False),
    Column("refused_at", Instant, nullable=False),
    Column("why", Text, nullable=False),
    comment="what the ledger does not take; owed again at each start",
)

ledger = MetaData(naming_convention=_names)
"""The durable record of what happened; written by collector, console and the relay's forwarder."""

sends = Table(
    "sends",
    ledger,
    Column("send_id", String(26), primary_key=True),
    Column("accepted_at", Instant, nullable=False),
    Column("message_id", Text),
    Column("sender", Text),
    Column("account", Text),
    Column("client", Text),
    Column("subject", Text),
    Column("size_bytes", Integer, nullable=False),
    Column("base_url", Text, nullable=False),
    Column(
        "verdict",
        JSON,
        nullable=False,
        comment="ledger.fact.pack_verdict",
    ),
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Index("ix_sends_time", "accepted_at"),
    Index("ix_sends_message_id", "message_id"),
    # what somebody signed in to send
    Index("ix_sends_account", "account"),
)

copies = Table(
    "copies",
    ledger,
    Column("copy_id", BigInteger, primary_key=True, autoincrement=False),
    Column("send_id", ForeignKey("sends.send_id", ondelete="CASCADE"), nullable=False),
    Column("mode", String(10), nullable=False),
    Column("relayed_at", Instant, comment="when the first recipient was relayed"),
    Index("ix_copies_send", "send_id"),
)

copy_recipients = Table(
    "copy_recipients",
    ledger,
    Column(
        "copy_id",
        ForeignKey("copies.copy_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("recipient", Text, nullable=False),
    Column("recipient_key", Text, nullable=False, comment="Address.key"),
    Column("recipient_type", String(3), nullable=False),
    Index("ix_copy_recipients_key", "recipient_key"),
)

links = Table(
    "links",
    ledger,
    Column(
        "send_id",
        ForeignKey("sends.send_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("part", Text, nullable=False),
    Column("url", Text, nullable=False, comment="as in the mail, serialised, with its fragment"),
    Column("text", Text, nullable=False),
)

hits = Table(
    "hits",
    ledger,
    Column("hit_id", String(26), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(5), nullable=False, comment="open or click"),
    Column("copy_id", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("html", Boolean, nullable=False),
    Column("url", Text, comment="destination of a click"),
    Column("features", JSON, nullable=False, comment="what the rules look at; no full address"),
    Column("waiting", Boolean, nullable=False, comment="no event so far: not judged yet"),
    # what else came for this copy lately
    Index("ix_hits_copy", "copy_id", "at"),
    # what is to be judged, its send once it is known
    Index("ix_hits_waiting", "at", sqlite_where=text("waiting"), postgresql_where=text("waiting")),
)

events = Table(
    "events",
    ledger,
    Column("number", _Counter, primary_key=True, autoincrement=True, comment="order of recording"),
    Column("event_id", String(40), nullable=False, unique=True),
    Column("type", String(20), nullable=False),
    Column("at", Instant, nullable=False),
    Column("send_id", String(26)),
    Column("copy_id", BigInteger),
    Column("hit_id", String(26)),
    Column("message_id", Text),
    Column("sender", Text),
    Column("sender_key", Text),
    Column("subject", Text),
    Column("recipient", Text),
    Column("recipient_key", Text),
    Column("recipient_type", String(3)),
    Column("attribution", String(9)),
    Column("candidates", JSON, nullable=False),
    Column("tracking_mode", String(10)),
    Column("url", Text),
    Column("link_id", Text),
    Column("link_text", Text),
    Column("classification", String(12)),
    Column("confidence", Float),
    Column("reasons", JSON, nullable=False),
    Column("rules_version", Text),
    Column("first", Boolean, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("notice", String(4), nullable=False),
    Column("inferred_from", String(40)),
    Column("relabels", String(40), comment="of a re-labelling: which event"),
    Column("label_before", String(12), comment="of a re-labelling"),
    Column("user_agent", Text),
    Column("ip_address", Text),
    Column("reply", Text),
    Column("upstream", Text),
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    # log review and feed
    Index("ix_events_time", "at"),
    Index("ix_events_send", "send_id", "number"),
    Index("ix_events_recipient", "recipient_key", "at"),
    Index("ix_events_sender", "sender_key", "at"),
    Index("ix_events_message_id", "message_id"),
    # whether a hit is the first of its kind, or repeats a view
    Index("ix_events_copy", "copy_id", "type", "at"),
    sqlite_autoincrement=True,
)

day_events = Table(
    "day_events",
    ledger,
    # Random, and without a row number, so that no order tells when in the day it was.
    Column("event_id", String(26), primary_key=True),
    Column("day", Instant, nullable=False, comment="its beginning"),
    Column("type", String(20), nullable=False),
    Column("sender", Text),
    Column("sender_key", Text),
    Column("classification", String(12), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("rules_version", Text, nullable=False),
    # what is to be told when its day is over; of a sender who is forgotten it is looked through
    Index("ix_day_events_day", "day", "event_id"),
    comment="opens and clicks that keep no send, until their day is over: ledger.days",
    sqlite_with_rowid=False,
)

forgotten_copies = Table(
    "forgotten_copies",
    ledger,
    Column("number", _Counter, primary_key=True, autoincrement=True),
    Column("copy_id", BigInteger, nullable=False, unique=True),
    Column("at", Instant, nullable=False, comment="the day's beginning"),
    # what is old enough to go
    Index("ix_forgotten_copies_time", "at"),
    comment="copies of which a recipient or the sender is forgotten",
    sqlite_autoincrement=True,
)

chores = Table(
    "chores",
    ledger,
    Column("name", String(16), primary_key=True),
    Column("holder", String(26), comment="the process that does it; null: nobody"),
    Column("held_until", Instant, nullable=False),
    Column("done_at", Instant, comment="when it was last done to its end"),
    comment="what one process does for all, once a day",
)

consents = Table(
    "consents",
    ledger,
    Column(
        "subject", Text, primary_key=True, comment="Subject.key; of who is forgotten its digest"
    ),
    Column("denial_key", Text, nullable=False, comment="Subject.denial_key"),
    Column("shown", Text, nullable=False),
    Column("state", String(7), nullable=False),
    Column("number", BigInteger, nullable=False, comment="of the change that holds"),
    # what is denied for an address and its details
    Index("ix_consents_denial", "denial_key"),
    # what has changed since
    Index("ix_consents_number", "number"),
)

consent_changes = Table(
    "consent_changes",
    ledger,
    Column("number", _Counter, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False),
    Column("state", String(7), nullable=False),
    Column("at", Instant, nullable=False),
    Column("method", String(7), nullable=False),
    Column("source", Text, nullable=False),
    Column("text", Text, nullable=False, comment="what the person was shown"),
    Column("actor", Text, nullable=False),
    # the history of one subject
    Index("ix_consent_changes_subject", "subject", "number"),
    sqlite_autoincrement=True,
)

policy_changes = Table(
    "policy_changes",
    ledger,
    Column("number", _Counter, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, comment="its name; null: the switch for everybody"),
    Column("value", JSON, comment="the rule, or whether tracking is on; null: removed"),
    # what holds of each rule
    Index("ix_policy_changes_rule", "rule", "number"),
    sqlite_autoincrement=True,
)

spill = MetaData(naming_convention=_names)
"""Hits whose consent could not be asked at once: a file of the collector's own, loaded later."""

spilled_hits = Table(
    "spilled_hits",
    spill,
    Column("hit_id", String(26), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(5), nullable=False),
    Column("copy_id", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("html", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="url and features, collector.sealed"),
)

spilled_wishes = Table(
    "spilled_wishes",
    spill,
    Column("wish_id", String(26), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(9), nullable=False, comment="collector.wish.WishKind"),
    Column("copy_id", BigInteger, comment="null: an address is named"),
    Column("sealed", LargeBinary, nullable=False, comment="address and words, collector.wish"),
    comment="what recipients have asked for on their page, until it is done",
)

sign_in_links = Table(
    "sign_in_links",
    ledger,
    Column("secret_hash", String(64), primary_key=True),
    Column("person", Text, nullable=False),
    Column("person_key", Text, comment="Address.key of his account; null: the operator"),
    Column("role", String(7), nullable=False),
    Column("expires_at", Instant, nullable=False),
)

sessions = Table(
    "sessions",
    ledger,
    Column("secret_hash", String(64), primary_key=True),
    Column("person", Text, nullable=False),
    Column("person_key", Text, comment="Address.key of his account; null: the operator"),
    Column("role", String(7), nullable=False),
    Column("expires_at", Instant, nullable=False),
)

people = Table(
    "people",
    ledger,
    Column("key", Text, primary_key=True, comment="Address.key"),
    Column("address", Text, nullable=False, comment="as an admin wrote it"),
    Column("role", String(7), nullable=False),
    Column("password_hash", Text),
    Column("send_as", JSON, nullable=False, comment="patterns of addresses, besides his own"),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    ledger,
    Column("name", Text, primary_key=True),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("scope", String(5), nullable=False, comment="read or admin"),
    Column("created_at", Instant, nullable=False),
)

audit = Table(
    "audit",
    ledger,
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="without a gap"),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False, comment="a pseudonym, operator, or token:NAME"),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text),
    Column("subject", Text, comment="a pseudonym of a person or recipient; else a name"),
    Column("detail", JSON, nullable=False, comment="no addresses"),
    Column("previous_hash", String(64), nullable=False, unique=True),
    Column("row_hash", String(64), nullable=False),
    # what one person has done, and what was done about one
    Index("ix_audit_actor", "actor", "number"),
    Index("ix_audit_subject", "subject", "number"),
)
