"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _make_api_tokens()
    _make_audit()
    _make_chores()
    _make_consent_changes()
    _make_consents()
    _make_day_events()
    _make_events()
    _make_forgotten_copies()
    _make_hits()
    _make_notice_letters()
    _make_notice_wishes()
    _make_people()
    _make_policy_changes()
    _make_saved_views()
    _make_sends()
    _make_sessions()
    _make_sign_in_links()
    _make_webhooks()
    _make_copies()
    _make_links()
    _make_notices()
    _make_webhook_deliveries()
    _make_copy_recipients()


def _make_api_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=5), nullable=False, comment="read or admin"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_tokens_secret_hash")),
    )


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "number", sa.BigInteger(), autoincrement=False, nullable=False, comment="without a gap"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column(
            "actor", sa.Text(), nullable=False, comment="a pseudonym, operator, or token:NAME"
        ),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=True),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=True,
            comment="a pseudonym of a person or recipient; else a name",
        ),
        sa.Column("detail", sa.JSON(), nullable=False, comment="no addresses"),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("row_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_audit_previous_hash")),
    )
    op.create_index("ix_audit_actor", "audit", ["actor", "number"], unique=False)
    op.create_index("ix_audit_subject", "audit", ["subject", "number"], unique=False)


def _make_chores() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column(
            "holder",
            sa.String(length=26),
            nullable=True,
            comment="the process that does it; null: nobody",
        ),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.Column(
            "done_at", sa.BigInteger(), nullable=True, comment="when it was last done to its end"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
        comment="what one process does for all, once a day",
    )


def _make_consent_changes() -> None:
    op.create_table(
        "consent_changes",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=7), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=7), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="what the person was shown"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_consent_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_consent_changes_subject", "consent_changes", ["subject", "number"], unique=False
    )


def _make_consents() -> None:
    op.create_table(
        "consents",
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="Subject.key; of who is forgotten its digest",
        ),
        sa.Column("denial_key", sa.Text(), nullable=False, comment="Subject.denial_key"),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=7), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="of the change that holds"),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_denial", "consents", ["denial_key"], unique=False)
    op.create_index("ix_consents_number", "consents", ["number"], unique=False)


def _make_day_events() -> None:
    op.create_table(
        "day_events",
        sa.Column("event_id", sa.String(length=26), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False, comment="its beginning"),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("sender_key", sa.Text(), nullable=True),
        sa.Column(
            "recipient",
            sa.Text(),
            nullable=True,
            comment="of a withdrawal; of an open or click nobody knows whose",
        ),
        sa.Column("recipient_key", sa.Text(), nullable=True),
        sa.Column(
            "classification",
            sa.String(length=12),
            nullable=True,
            comment="of an open or click, as the next two",
        ),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("rules_version", sa.Text(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_day_events")),
        comment="events that keep no send, until their day is over: ledger.days",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_day_events_day", "day_events", ["day", "event_id"], unique=False)


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
            comment="order of recording",
        ),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("send_id", sa.String(length=26), nullable=True),
        sa.Column("copy_id", sa.BigInteger(), nullable=True),
        sa.Column("hit_id", sa.String(length=26), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("sender_key", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("recipient_key", sa.Text(), nullable=True),
        sa.Column("recipient_type", sa.String(length=3), nullable=True),
        sa.Column("attribution", sa.String(length=9), nullable=True),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("tracking_mode", sa.String(length=10), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("link_id", sa.Text(), nullable=True),
        sa.Column("link_text", sa.Text(), nullable=True),
        sa.Column("classification", sa.String(length=12), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("rules_version", sa.Text(), nullable=True),
        sa.Column("first", sa.Boolean(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("notice", sa.String(length=4), nullable=False),
        sa.Column("inferred_from", sa.String(length=40), nullable=True),
        sa.Column(
            "relabels",
            sa.String(length=40),
            nullable=True,
            comment="of a re-labelling: which event",
        ),
        sa.Column("label_before", sa.String(length=12), nullable=True, comment="of a re-labelling"),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("upstream", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_events_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_events_accepted",
        "events",
        ["sender_key", "send_id"],
        unique=False,
        sqlite_where=sa.text("type = 'email.accepted'"),
        postgresql_where=sa.text("type = 'email.accepted'"),
    )
    op.create_index(
        "ix_events_classification",
        "events",
        ["classification", "at"],
        unique=False,
        sqlite_where=sa.text("classification IS NOT NULL"),
        postgresql_where=sa.text("classification IS NOT NULL"),
    )
    op.create_index("ix_events_copy", "events", ["copy_id", "type", "at"], unique=False)
    op.create_index("ix_events_message_id", "events", ["message_id"], unique=False)
    op.create_index("ix_events_recipient", "events", ["recipient_key", "at"], unique=False)
    op.create_index(
        "ix_events_reply",
        "events",
        ["at", "number", "reply"],
        unique=False,
        sqlite_where=sa.text("reply IS NOT NULL"),
        postgresql_where=sa.text("reply IS NOT NULL"),
    )
    op.create_index("ix_events_send", "events", ["send_id", "number"], unique=False)
    op.create_index("ix_events_sender", "events", ["sender_key", "at"], unique=False)
    op.create_index("ix_events_time", "events", ["at"], unique=False)
    op.create_index(
        "ix_events_type", "events", ["type", "at", "classification", "upstream"], unique=False
    )
    op.create_index(
        "ix_events_url",
        "events",
        ["at", "number", "url"],
        unique=False,
        sqlite_where=sa.text("url IS NOT NULL"),
        postgresql_where=sa.text("url IS NOT NULL"),
    )


def _make_forgotten_copies() -> None:
    op.create_table(
        "forgotten_copies",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("copy_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="the day's beginning"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_forgotten_copies")),
        sa.UniqueConstraint("copy_id", name=op.f("uq_forgotten_copies_copy_id")),
        comment="copies of which a recipient or the sender is forgotten",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_forgotten_copies_time", "forgotten_copies", ["at"], unique=False)


def _make_hits() -> None:
    op.create_table(
        "hits",
        sa.Column("hit_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False, comment="open or click"),
        sa.Column("copy_id", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("html", sa.Boolean(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True, comment="destination of a click"),
        sa.Column(
            "features", sa.JSON(), nullable=False, comment="what the rules look at; no full address"
        ),
        sa.Column(
            "waiting", sa.Boolean(), nullable=False, comment="no event so far: not judged yet"
        ),
        sa.Column(
            "fault",
            sa.Text(),
            nullable=True,
            comment="what our code failed of in judging it; null: nothing",
        ),
        sa.PrimaryKeyConstraint("hit_id", name=op.f("pk_hits")),
    )
    op.create_index("ix_hits_copy", "hits", ["copy_id", "at"], unique=False)
    op.create_index(
        "ix_hits_fault",
        "hits",
        ["at"],
        unique=False,
        sqlite_where=sa.text("fault IS NOT NULL"),
        postgresql_where=sa.text("fault IS NOT NULL"),
    )
    op.create_index(
        "ix_hits_waiting",
        "hits",
        ["at"],
        unique=False,
        sqlite_where=sa.text("waiting"),
        postgresql_where=sa.text("waiting"),
    )


def _make_notice_letters() -> None:
    op.create_table(
        "notice_letters",
        sa.Column("name", sa.String(length=26), nullable=False, comment="becomes its send_id"),
        sa.Column("person_key", sa.Text(), nullable=False, comment="Address.key of his account"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False, comment="whether the spool has it"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notice_letters")),
        comment="mails of notices; an hour long, for no more than so many are sent in it",
    )
    op.create_index(
        "ix_notice_letters_person", "notice_letters", ["person_key", "at"], unique=False
    )


def _make_notice_wishes() -> None:
    op.create_table(
        "notice_wishes",
        sa.Column("person_key", sa.Text(), nullable=False, comment="Address.key of his account"),
        sa.Column("mail", sa.String(length=6), nullable=False, comment="off, each or digest"),
        sa.Column("first_only", sa.Boolean(), nullable=False),
        sa.Column("min_confidence", sa.Float(), nullable=False),
        sa.Column(
            "quiet_from",
            sa.Integer(),
            nullable=True,
            comment="minute of his day; null: no quiet hours",
        ),
        sa.Column("quiet_until", sa.Integer(), nullable=True),
        sa.Column(
            "zone", sa.Text(), nullable=False, comment="a name of the IANA time zone database"
        ),
        sa.PrimaryKeyConstraint("person_key", name=op.f("pk_notice_wishes")),
        comment="what people want of notices; who is not here wants what is configured",
    )


def _make_people() -> None:
    op.create_table(
        "people",
        sa.Column("key", sa.Text(), nullable=False, comment="Address.key"),
        sa.Column("address", sa.Text(), nullable=False, comment="as an admin wrote it"),
        sa.Column("role", sa.String(length=7), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column(
            "send_as", sa.JSON(), nullable=False, comment="patterns of addresses, besides his own"
        ),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_people")),
    )


def _make_policy_changes() -> None:
    op.create_table(
        "policy_changes",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "rule", sa.Text(), nullable=True, comment="its name; null: the switch for everybody"
        ),
        sa.Column(
            "value",
            sa.JSON(),
            nullable=True,
            comment="the rule, or whether tracking is on; null: removed",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_policy_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_policy_changes_rule", "policy_changes", ["rule", "number"], unique=False)


def _make_saved_views() -> None:
    op.create_table(
        "saved_views",
        sa.Column(
            "person", sa.Text(), nullable=False, comment="Address.key of his account, or operator"
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "query", sa.Text(), nullable=False, comment="of the page of the log, as a URL has it"
        ),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person", "name", name=op.f("pk_saved_views")),
        comment="questions to the log that somebody asks again",
    )


def _make_sends() -> None:
    op.create_table(
        "sends",
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("verdict", sa.JSON(), nullable=False, comment="ledger.fact.pack_verdict"),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("send_id", name=op.f("pk_sends")),
    )
    op.create_index("ix_sends_account", "sends", ["account", "send_id"], unique=False)
    op.create_index("ix_sends_message_id", "sends", ["message_id"], unique=False)
    op.create_index("ix_sends_subject", "sends", ["send_id", "subject"], unique=False)
    op.create_index("ix_sends_time", "sends", ["accepted_at"], unique=False)


def _make_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column(
            "person_key",
            sa.Text(),
            nullable=True,
            comment="Address.key of his account; null: the operator",
        ),
        sa.Column("role", sa.String(length=7), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_sessions")),
    )


def _make_sign_in_links() -> None:
    op.create_table(
        "sign_in_links",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column(
            "person_key",
            sa.Text(),
            nullable=True,
            comment="Address.key of his account; null: the operator",
        ),
        sa.Column("role", sa.String(length=7), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_sign_in_links")),
    )


def _make_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column(
            "webhook", sa.String(length=16), nullable=False, comment="ledger.webhooks.webhook_key"
        ),
        sa.Column(
            "shown", sa.Text(), nullable=False, comment="scheme and host: a path may be a secret"
        ),
        sa.Column("types", sa.JSON(), nullable=False, comment="of the events it wants; empty: all"),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True, comment="when it took one last"),
        sa.Column("failed_at", sa.BigInteger(), nullable=True, comment="when it did not, last"),
        sa.Column(
            "fault",
            sa.Text(),
            nullable=True,
            comment="what it said or did then; null: it has taken one since",
        ),
        sa.PrimaryKeyConstraint("webhook", name=op.f("pk_webhooks")),
        comment="what the collector has read in its configuration last",
    )


def _make_copies() -> None:
    op.create_table(
        "copies",
        sa.Column("copy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column(
            "relayed_at",
            sa.BigInteger(),
            nullable=True,
            comment="when the first recipient was relayed",
        ),
        sa.ForeignKeyConstraint(
            ["send_id"], ["sends.send_id"], name=op.f("fk_copies_send_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("copy_id", name=op.f("pk_copies")),
    )
    op.create_index("ix_copies_send", "copies", ["send_id"], unique=False)


def _make_links() -> None:
    op.create_table(
        "links",
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column(
            "url",
            sa.Text(),
            nullable=False,
            comment="as in the mail, serialised, with its fragment",
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["send_id"], ["sends.send_id"], name=op.f("fk_links_send_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("send_id", "slot", name=op.f("pk_links")),
    )


def _make_notices() -> None:
    op.create_table(
        "notices",
        sa.Column(
            "event_number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="what is forgotten, or purged, is not told any more",
        ),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "letter",
            sa.String(length=26),
            nullable=True,
            comment="the mail that tells of it; null: not settled yet",
        ),
        sa.ForeignKeyConstraint(
            ["event_number"],
            ["events.number"],
            name=op.f("fk_notices_event_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_number", name=op.f("pk_notices")),
        comment="opens and clicks of which somebody is to be told by mail",
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("letter IS NULL"),
        postgresql_where=sa.text("letter IS NULL"),
    )
    op.create_index(
        "ix_notices_letter",
        "notices",
        ["letter"],
        unique=False,
        sqlite_where=sa.text("letter IS NOT NULL"),
        postgresql_where=sa.text("letter IS NOT NULL"),
    )


def _make_webhook_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
            comment="order of owing",
        ),
        sa.Column("delivery_id", sa.String(length=32), nullable=False, comment="the webhook-id"),
        sa.Column("webhook", sa.String(length=16), nullable=False),
        sa.Column(
            "event_number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
            comment="null: it is forgotten, or purged, and not told any more",
        ),
        sa.Column(
            "lane",
            sa.String(length=40),
            nullable=False,
            comment="what is told in order: ledger.webhooks",
        ),
        sa.Column(
            "due_at",
            sa.BigInteger(),
            nullable=True,
            comment="null: it waits for one before it, or is dead",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", sa.BigInteger(), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True, comment="what came of the last attempt"),
        sa.Column(
            "dead_at", sa.BigInteger(), nullable=True, comment="since when it is not tried any more"
        ),
        sa.ForeignKeyConstraint(
            ["event_number"],
            ["events.number"],
            name=op.f("fk_webhook_deliveries_event_number"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_webhook_deliveries_delivery_id")),
        comment="what webhooks are to be told still, and what they did not take",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_webhook_deliveries_dead",
        "webhook_deliveries",
        ["number"],
        unique=False,
        sqlite_where=sa.text("dead_at IS NOT NULL"),
        postgresql_where=sa.text("dead_at IS NOT NULL"),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook", "due_at", "number"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_webhook_deliveries_event", "webhook_deliveries", ["event_number"], unique=False
    )
    op.create_index(
        "ix_webhook_deliveries_lane",
        "webhook_deliveries",
        ["lane", "webhook", "number"],
        unique=False,
        sqlite_where=sa.text("dead_at IS NULL"),
        postgresql_where=sa.text("dead_at IS NULL"),
    )


def _make_copy_recipients() -> None:
    op.create_table(
        "copy_recipients",
        sa.Column("copy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("recipient_key", sa.Text(), nullable=False, comment="Address.key"),
        sa.Column("recipient_type", sa.String(length=3), nullable=False),
        sa.ForeignKeyConstraint(
            ["copy_id"],
            ["copies.copy_id"],
            name=op.f("fk_copy_recipients_copy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("copy_id", "number", name=op.f("pk_copy_recipients")),
    )
    op.create_index("ix_copy_recipients_key", "copy_recipients", ["recipient_key"], unique=False)
