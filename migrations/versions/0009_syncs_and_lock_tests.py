"""Accommodation syncs, lock tests, and since when a unit or a lock is gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _moment(name: str, *, now: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    op.add_column("accommodations", _moment("absent_since"))
    op.add_column(
        "locks",
        sa.Column("low_battery", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    for name in ("offline_since", "gone_since", "refreshed_at"):
        op.add_column("locks", _moment(name))
    op.add_column("vendor_states", _moment("devices_read_at"))
    op.create_table(
        "accommodation_syncs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(), server_default=sa.text("'pending'"), nullable=False),
        _moment("started_at"),
        _moment("completed_at"),
        _moment("lease_until"),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("error_kind", sa.String(), nullable=True),
        _count("total"),
        _count("created"),
        _count("updated"),
        _count("inactivated"),
        _count("returned"),
        sa.Column(
            "items",
            JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint(
            "channel IN ('stays', 'beds24')", name=op.f("ck_accommodation_syncs_channel")
        ),
        sa.CheckConstraint(
            "trigger IN ('schedule', 'manual')", name=op.f("ck_accommodation_syncs_trigger")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'success', 'failed')",
            name=op.f("ck_accommodation_syncs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"],
            ["users.id"],
            name=op.f("fk_accommodation_syncs_requested_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accommodation_syncs")),
    )
    op.create_index(
        "uq_accommodation_syncs_pending",
        "accommodation_syncs",
        ["channel"],
        unique=True,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_accommodation_syncs_created_at", "accommodation_syncs", ["created_at"])
    op.create_table(
        "lock_tests",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("lock_id", sa.Uuid(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), server_default=sa.text("'requested'"), nullable=False),
        sa.Column("opened", sa.Boolean(), nullable=True),
        sa.Column("pin_encrypted", sa.String(), nullable=True),
        sa.Column("pin_last2", sa.String(), nullable=False),
        sa.Column("vendor_name", sa.String(), nullable=False),
        sa.Column("vendor_ref", sa.String(), nullable=True),
        sa.Column("vendor_detail", sa.String(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("sent_at"),
        _moment("accepted_at"),
        _moment("installed_at"),
        _moment("typed_at"),
        _moment("removal_at"),
        _moment("removal_sent_at"),
        _moment("gone_at"),
        _count("attempts"),
        _moment("next_attempt_at"),
        _moment("lease_until"),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_kind", sa.String(), nullable=True),
        _moment("created_at", now=True),
        _moment("updated_at", now=True),
        sa.CheckConstraint(
            "state IN ('requested', 'accepted', 'installed', 'removing', 'gone')",
            name=op.f("ck_lock_tests_state"),
        ),
        sa.ForeignKeyConstraint(
            ["lock_id"],
            ["locks.id"],
            name=op.f("fk_lock_tests_lock_id_locks"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"],
            ["users.id"],
            name=op.f("fk_lock_tests_requested_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lock_tests")),
    )
    op.create_index(
        "uq_lock_tests_open",
        "lock_tests",
        ["lock_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'gone'"),
    )
    op.create_index("ix_lock_tests_lock_id_created_at", "lock_tests", ["lock_id", "created_at"])
    op.create_index(
        "ix_lock_tests_due",
        "lock_tests",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("lock_tests")
    op.drop_table("accommodation_syncs")
    for name in ("refreshed_at", "gone_since", "offline_since", "low_battery"):
        op.drop_column("locks", name)
    op.drop_column("vendor_states", "devices_read_at")
    op.drop_column("accommodations", "absent_since")
