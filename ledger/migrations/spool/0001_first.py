"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _make_captured_copies()
    _make_known_consents()
    _make_known_letters()
    _make_known_policy()
    _make_owed_facts()
    _make_owed_mails()
    _make_queue_acts()
    _make_refused_facts()
    _make_spooled_sends()
    _make_spooled_copies()
    _make_spooled_recipients()


def _make_captured_copies() -> None:
    op.create_table(
        "captured_copies",
        sa.Column("copy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("captured_at", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("recipients", sa.JSON(), nullable=False, comment='[["to", "a@example.com"], …]'),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column(
            "raw", sa.LargeBinary(), nullable=False, comment="unstuffed, as the recipient gets it"
        ),
        sa.PrimaryKeyConstraint("copy_id", name=op.f("pk_captured_copies")),
    )
    op.create_index("ix_captured_copies_send", "captured_copies", ["send_id"], unique=False)
    op.create_index("ix_captured_copies_time", "captured_copies", ["captured_at"], unique=False)


def _make_known_consents() -> None:
    op.create_table(
        "known_consents",
        sa.Column("subject", sa.Text(), nullable=False, comment="Subject.key"),
        sa.Column("denial_key", sa.Text(), nullable=False, comment="Subject.denial_key"),
        sa.Column("state", sa.String(length=7), nullable=False, comment="granted or denied"),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_known_consents")),
    )
    op.create_index("ix_known_consents_denial", "known_consents", ["denial_key"], unique=False)


def _make_known_letters() -> None:
    op.create_table(
        "known_letters",
        sa.Column("name", sa.String(length=26), nullable=False, comment="as owed_mails had it"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_known_letters")),
        comment="mail of our own that was owed, until who owed it knows that too",
    )


def _make_known_policy() -> None:
    op.create_table(
        "known_policy",
        sa.Column(
            "one", sa.Integer(), autoincrement=False, nullable=False, comment="there is one row"
        ),
        sa.Column(
            "number", sa.BigInteger(), nullable=False, comment="of the policy change that holds"
        ),
        sa.Column(
            "consents_number", sa.BigInteger(), nullable=False, comment="of the last consent known"
        ),
        sa.Column("tracking", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_known_policy")),
    )


def _make_owed_facts() -> None:
    op.create_table(
        "owed_facts",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("fact", sa.JSON(), nullable=False, comment="docs: ledger.fact"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_owed_facts")),
        sqlite_autoincrement=True,
    )


def _make_owed_mails() -> None:
    op.create_table(
        "owed_mails",
        sa.Column("name", sa.String(length=26), nullable=False, comment="becomes its send_id"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_owed_mails")),
        comment="mail of our own to recipients, until the relay has made it mail",
    )


def _make_queue_acts() -> None:
    op.create_table(
        "queue_acts",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="as in the audit log"),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("copy_id", sa.BigInteger(), nullable=False),
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_queue_acts")),
        comment="what people did to copies, until the relay has told it in its log",
        sqlite_autoincrement=True,
    )


def _make_refused_facts() -> None:
    op.create_table(
        "refused_facts",
        sa.Column(
            "number", sa.BigInteger(), autoincrement=False, nullable=False, comment="as it was owed"
        ),
        sa.Column("fact", sa.JSON(), nullable=False),
        sa.Column("refused_at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_refused_facts")),
        comment="what the ledger does not take; owed again at each start",
    )


def _make_spooled_sends() -> None:
    op.create_table(
        "spooled_sends",
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True, comment="reverse-path; null for <>"),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("smtputf8", sa.Boolean(), nullable=False),
        sa.Column("body_8bit", sa.Boolean(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column(
            "template", sa.LargeBinary(), nullable=False, comment="encoded Template, versioned"
        ),
        sa.Column(
            "credential",
            sa.LargeBinary(),
            nullable=True,
            comment="sealed: relay.seal; null: it goes as ourselves",
        ),
        sa.PrimaryKeyConstraint("send_id", name=op.f("pk_spooled_sends")),
    )


def _make_spooled_copies() -> None:
    op.create_table(
        "spooled_copies",
        sa.Column("copy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("send_id", sa.String(length=26), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("layout", sa.Integer(), nullable=True, comment="null: the original"),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False, comment="the upstream it waits for"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column(
            "lease", sa.String(length=26), nullable=True, comment="who claimed it; null: nobody"
        ),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column(
            "lessee", sa.String(length=26), nullable=True, comment="the process that claimed it"
        ),
        sa.Column("delay_noticed", sa.Boolean(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=True, comment="the last attempt"),
        sa.Column(
            "waited_s", sa.Float(), nullable=False, comment="of its life, that clocks agree on"
        ),
        sa.Column("upstream", sa.Text(), nullable=True, comment="who was tried last"),
        sa.Column(
            "fate",
            sa.String(length=6),
            nullable=True,
            comment="ledger.fate.Fate; null: it is to be delivered",
        ),
        sa.ForeignKeyConstraint(
            ["send_id"],
            ["spooled_sends.send_id"],
            name=op.f("fk_spooled_copies_send_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("copy_id", name=op.f("pk_spooled_copies")),
    )
    op.create_index("ix_spooled_copies_due", "spooled_copies", ["held", "due_at"], unique=False)
    op.create_index(
        "ix_spooled_copies_lane", "spooled_copies", ["lane", "held", "due_at"], unique=False
    )
    op.create_index("ix_spooled_copies_send", "spooled_copies", ["send_id"], unique=False)


def _make_spooled_recipients() -> None:
    op.create_table(
        "spooled_recipients",
        sa.Column("copy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("recipient_type", sa.String(length=3), nullable=False),
        sa.Column(
            "state", sa.String(length=9), nullable=False, comment="pending, delivered or failed"
        ),
        sa.Column("reply", sa.Text(), nullable=True, comment="the last reply for this recipient"),
        sa.ForeignKeyConstraint(
            ["copy_id"],
            ["spooled_copies.copy_id"],
            name=op.f("fk_spooled_recipients_copy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("copy_id", "number", name=op.f("pk_spooled_recipients")),
    )
