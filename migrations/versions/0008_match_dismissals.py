"""Matches that somebody dismissed for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "match_dismissals",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("accommodation_id", sa.Uuid(), nullable=False),
        sa.Column("lock_id", sa.Uuid(), nullable=False),
        sa.Column("dismissed_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["accommodation_id"],
            ["accommodations.id"],
            name=op.f("fk_match_dismissals_accommodation_id_accommodations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["dismissed_by"],
            ["users.id"],
            name=op.f("fk_match_dismissals_dismissed_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["lock_id"],
            ["locks.id"],
            name=op.f("fk_match_dismissals_lock_id_locks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_dismissals")),
        sa.UniqueConstraint(
            "accommodation_id",
            "lock_id",
            name=op.f("uq_match_dismissals_accommodation_id_lock_id"),
        ),
    )
    op.create_index(
        op.f("ix_match_dismissals_lock_id"), "match_dismissals", ["lock_id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("match_dismissals")
