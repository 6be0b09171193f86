"""Locks, their mapping to accommodations, and every attempt at one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "locks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("vendor", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("radio", sa.String(), server_default=sa.text("'wifi'"), nullable=False),
        sa.Column("pin_length", sa.Integer(), server_default=sa.text("7"), nullable=False),
        sa.Column("hex_case", sa.String(), server_default=sa.text("'lower'"), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("battery", sa.Integer(), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reads", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("read_lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("silent_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("hex_case IN ('lower', 'upper')", name=op.f("ck_locks_hex_case")),
        sa.CheckConstraint("radio IN ('wifi', 'zigbee', 'bluetooth')", name=op.f("ck_locks_radio")),
        sa.CheckConstraint("vendor IN ('tuya', 'fake')", name=op.f("ck_locks_vendor")),
        sa.CheckConstraint("battery BETWEEN 0 AND 100", name=op.f("ck_locks_battery")),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_locks_capacity")),
        sa.CheckConstraint("pin_length BETWEEN 4 AND 10", name=op.f("ck_locks_pin_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locks")),
        sa.UniqueConstraint("vendor", "device_id", name=op.f("uq_locks_vendor_device_id")),
    )
    op.create_index(
        "ix_locks_next_read_at",
        "locks",
        ["next_read_at"],
        unique=False,
        postgresql_where=sa.text("next_read_at IS NOT NULL"),
    )
    op.create_table(
        "lock_mappings",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("accommodation_id", sa.Uuid(), nullable=False),
        sa.Column("lock_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["accommodation_id"],
            ["accommodations.id"],
            name=op.f("fk_lock_mappings_accommodation_id_accommodations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["users.id"],
            name=op.f("fk_lock_mappings_created_by_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["lock_id"],
            ["locks.id"],
            name=op.f("fk_lock_mappings_lock_id_locks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lock_mappings")),
        sa.UniqueConstraint("accommodation_id", name=op.f("uq_lock_mappings_accommodation_id")),
        sa.UniqueConstraint("lock_id", name=op.f("uq_lock_mappings_lock_id")),
    )
    op.create_table(
        "mapping_validation_logs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("accommodation_id", sa.Uuid(), nullable=True),
        sa.Column("lock_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "action IN ('map', 'remap', 'unmap')", name=op.f("ck_mapping_validation_logs_action")
        ),
        sa.CheckConstraint(
            "result IN ('accepted', 'rejected', 'unchanged')",
            name=op.f("ck_mapping_validation_logs_result"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mapping_validation_logs")),
    )
    op.create_index(
        op.f("ix_mapping_validation_logs_accommodation_id"),
        "mapping_validation_logs",
        ["accommodation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_mapping_validation_logs_created_at"),
        "mapping_validation_logs",
        ["created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_mapping_validation_logs_lock_id"),
        "mapping_validation_logs",
        ["lock_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("mapping_validation_logs")
    op.drop_table("lock_mappings")
    op.drop_table("locks")
