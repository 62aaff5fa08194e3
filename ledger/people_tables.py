"""The tables of people, how they come in, and what they did, of the ledger."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, String, Table, Text

from ledger.columns import Instant, ledger

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

saved_views = Table(
    "saved_views",
    ledger,
    Column("person", Text, primary_key=True, comment="Address.key of his account, or operator"),
    Column("name", Text, primary_key=True),
    Column("query", Text, nullable=False, comment="of the page of the log, as a URL has it"),
    Column("saved_at", Instant, nullable=False),
    comment="questions to the log that somebody asks again",
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
