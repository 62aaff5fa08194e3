"""The tables of what webhooks are told, of the ledger."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text, text

from ledger.columns import Counter, Instant, ledger

webhooks = Table(
    "webhooks",
    ledger,
    Column("webhook", String(16), primary_key=True, comment="ledger.webhooks.webhook_key"),
    Column("shown", Text, nullable=False, comment="scheme and host: a path may be a secret"),
    Column("types", JSON, nullable=False, comment="of the events it wants; empty: all"),
    Column("delivered_at", Instant, comment="when it took one last"),
    Column("failed_at", Instant, comment="when it did not, last"),
    Column("fault", Text, comment="what it said or did then; null: it has taken one since"),
    comment="what the collector has read in its configuration last",
)

webhook_deliveries = Table(
    "webhook_deliveries",
    ledger,
    Column("number", Counter, primary_key=True, autoincrement=True, comment="order of owing"),
    Column("delivery_id", String(32), nullable=False, unique=True, comment="the webhook-id"),
    Column("webhook", String(16), nullable=False),
    Column(
        "event_number",
        ForeignKey("events.number", ondelete="SET NULL"),
        comment="null: it is forgotten, or purged, and not told any more",
    ),
    Column("lane", String(40), nullable=False, comment="what is told in order: ledger.webhooks"),
    Column("due_at", Instant, comment="null: it waits for one before it, or is dead"),
    Column("attempts", Integer, nullable=False),
    Column("first_tried_at", Instant),
    Column("tried_at", Instant),
    Column("reply", Text, comment="what came of the last attempt"),
    Column("dead_at", Instant, comment="since when it is not tried any more"),
    # what is to be sent
    Index(
        "ix_webhook_deliveries_due",
        "webhook",
        "due_at",
        "number",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    # whether one waits before another
    Index(
        "ix_webhook_deliveries_lane",
        "lane",
        "webhook",
        "number",
        sqlite_where=text("dead_at IS NULL"),
        postgresql_where=text("dead_at IS NULL"),
    ),
    # what goes with an event
    Index("ix_webhook_deliveries_event", "event_number"),
    # dead letters
    Index(
        "ix_webhook_deliveries_dead",
        "number",
        sqlite_where=text("dead_at IS NOT NULL"),
        postgresql_where=text("dead_at IS NOT NULL"),
    ),
    comment="what webhooks are to be told still, and what they did not take",
    sqlite_autoincrement=True,
)
