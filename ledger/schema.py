"""The tables of both stores, each index named for the query it serves.

`ledger` and `spool` are two SQLite files, or two schemas of one PostgreSQL database; `spill` is
always a SQLite file.  All are moved forward by `ledger/migrations`; a test holds migrations and
tables together.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from ledger.columns import NAMES, Counter, Instant, ledger
from ledger.notice_tables import notice_letters, notice_wishes, notices
from ledger.people_tables import (
    api_tokens,
    audit,
    people,
    saved_views,
    sessions,
    sign_in_links,
)
from ledger.spool_tables import (
    captured_copies,
    known_consents,
    known_letters,
    known_policy,
    owed_facts,
    owed_mails,
    queue_acts,
    refused_facts,
    spool,
    spooled_copies,
    spooled_recipients,
    spooled_sends,
)
from ledger.webhook_tables import webhook_deliveries, webhooks

__all__ = [
    "Instant",
    "api_tokens",
    "audit",
    "captured_copies",
    "chores",
    "consent_changes",
    "consents",
    "copies",
    "copy_recipients",
    "day_events",
    "events",
    "forgotten_copies",
    "hits",
    "known_consents",
    "known_letters",
    "known_policy",
    "ledger",
    "links",
    "notice_letters",
    "notice_wishes",
    "notices",
    "owed_facts",
    "owed_mails",
    "people",
    "policy_changes",
    "queue_acts",
    "refused_facts",
    "saved_views",
    "sends",
    "sessions",
    "sign_in_links",
    "spill",
    "spilled_hits",
    "spilled_wishes",
    "spool",
    "spooled_copies",
    "spooled_recipients",
    "spooled_sends",
    "webhook_deliveries",
    "webhooks",
]
"""All tables, and the three sets of them: `spool`, `ledger` and `spill`."""


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
    # what somebody signed in to send, the latest first
    Index("ix_sends_account", "account", "send_id"),
    # a part of a subject: looked through without the rest of the sends
    Index("ix_sends_subject", "send_id", "subject"),
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
    Column("fault", Text, comment="what our code failed of in judging it; null: nothing"),
    # what else came for this copy lately
    Index("ix_hits_copy", "copy_id", "at"),
    # what is to be judged, its send once it is known
    Index("ix_hits_waiting", "at", sqlite_where=text("waiting"), postgresql_where=text("waiting")),
    # what is to be tried again
    Index(
        "ix_hits_fault",
        "at",
        sqlite_where=text("fault IS NOT NULL"),
        postgresql_where=text("fault IS NOT NULL"),
    ),
)

events = Table(
    "events",
    ledger,
    Column("number", Counter, primary_key=True, autoincrement=True, comment="order of recording"),
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
    # the latest mails of a sender, however much came of them
    Index(
        "ix_events_accepted",
        "sender_key",
        "send_id",
        sqlite_where=text("type = 'email.accepted'"),
        postgresql_where=text("type = 'email.accepted'"),
    ),
    # what happened of one kind; charts count from it alone
    Index("ix_events_type", "type", "at", "classification", "upstream"),
    # what one kind of agent did
    Index(
        "ix_events_classification",
        "classification",
        "at",
        sqlite_where=text("classification IS NOT NULL"),
        postgresql_where=text("classification IS NOT NULL"),
    ),
    # a part of a link, and of what an upstream said: looked through without the rest of the events
    Index(
        "ix_events_url",
        "at",
        "number",
        "url",
        sqlite_where=text("url IS NOT NULL"),
        postgresql_where=text("url IS NOT NULL"),
    ),
    Index(
        "ix_events_reply",
        "at",
        "number",
        "reply",
        sqlite_where=text("reply IS NOT NULL"),
        postgresql_where=text("reply IS NOT NULL"),
    ),
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
    Column("recipient", Text, comment="of a withdrawal; of an open or click nobody knows whose"),
    Column("recipient_key", Text),
    Column("classification", String(12), comment="of an open or click, as the next two"),
    Column("confidence", Float),
    Column("rules_version", Text),
    Column("reasons", JSON, nullable=False),
    # what is to be told when its day is over; of who is forgotten it is looked through
    Index("ix_day_events_day", "day", "event_id"),
    comment="events that keep no send, until their day is over: ledger.days",
    sqlite_with_rowid=False,
)

forgotten_copies = Table(
    "forgotten_copies",
    ledger,
    Column("number", Counter, primary_key=True, autoincrement=True),
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
    Column("number", Counter, primary_key=True, autoincrement=True),
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
    Column("number", Counter, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, comment="its name; null: the switch for everybody"),
    Column("value", JSON, comment="the rule, or whether tracking is on; null: removed"),
    # what holds of each rule
    Index("ix_policy_changes_rule", "rule", "number"),
    sqlite_autoincrement=True,
)

spill = MetaData(naming_convention=NAMES)
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
