"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _make_spilled_hits()
    _make_spilled_wishes()


def _make_spilled_hits() -> None:
    op.create_table(
        "spilled_hits",
        sa.Column("hit_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False),
        sa.Column("copy_id", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("html", sa.Boolean(), nullable=False),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=False, comment="url and features, collector.sealed"
        ),
        sa.PrimaryKeyConstraint("hit_id", name=op.f("pk_spilled_hits")),
    )


def _make_spilled_wishes() -> None:
    op.create_table(
        "spilled_wishes",
        sa.Column("wish_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False, comment="collector.wish.WishKind"),
        sa.Column("copy_id", sa.BigInteger(), nullable=True, comment="null: an address is named"),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=False, comment="address and words, collector.wish"
        ),
        sa.PrimaryKeyConstraint("wish_id", name=op.f("pk_spilled_wishes")),
        comment="what recipients have asked for on their page, until it is done",
    )
