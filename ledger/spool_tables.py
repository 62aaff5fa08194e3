"""The tables of the spool, each index named for the query it serves."""

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
)

from ledger.columns import NAMES, Counter, Instant

spool = MetaData(naming_convention=NAMES)
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
    Column("number", Counter, primary_key=True, autoincrement=True),
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
    Column("number", Counter, primary_key=True, autoincrement=True),
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

known_letters = Table(
    "known_letters",
    spool,
    Column("name", String(26), primary_key=True, comment="as owed_mails had it"),
    comment="mail of our own that was owed, until who owed it knows that too",
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
