"""The tables of notices to people, of the ledger."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, text

from ledger.columns import Instant, ledger

notices = Table(
    "notices",
    ledger,
    Column(
        "event_number",
        ForeignKey("events.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="what is forgotten, or purged, is not told any more",
    ),
    Column("due_at", Instant, nullable=False),
    Column("letter", String(26), comment="the mail that tells of it; null: not settled yet"),
    # what is to be told
    Index(
        "ix_notices_due",
        "due_at",
        sqlite_where=text("letter IS NULL"),
        postgresql_where=text("letter IS NULL"),
    ),
    # what a mail tells
    Index(
        "ix_notices_letter",
        "letter",
        sqlite_where=text("letter IS NOT NULL"),
        postgresql_where=text("letter IS NOT NULL"),
    ),
    comment="opens and clicks of which somebody is to be told by mail",
)

notice_letters = Table(
    "notice_letters",
    ledger,
    Column("name", String(26), primary_key=True, comment="becomes its send_id"),
    Column("person_key", Text, nullable=False, comment="Address.key of his account"),
    Column("at", Instant, nullable=False),
    Column("closed", Boolean, nullable=False, comment="whether the spool has it"),
    # how many somebody has had lately
    Index("ix_notice_letters_person", "person_key", "at"),
    comment="mails of notices; an hour long, for no more than so many are sent in it",
)

notice_wishes = Table(
    "notice_wishes",
    ledger,
    Column("person_key", Text, primary_key=True, comment="Address.key of his account"),
    Column("mail", String(6), nullable=False, comment="off, each or digest"),
    Column("first_only", Boolean, nullable=False),
    Column("min_confidence", Float, nullable=False),
    Column("quiet_from", Integer, comment="minute of his day; null: no quiet hours"),
    Column("quiet_until", Integer),
    Column("zone", Text, nullable=False, comment="a name of the IANA time zone database"),
    comment="what people want of notices; who is not here wants what is configured",
)
