"""Holds, maintenance, rates, credits, and what an outbound event carries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limit_buckets",
        sa.Column("channel_property_id", sa.Uuid(), nullable=False),
        sa.Column("tokens", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("capacity", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column("refill_rate", sa.Integer(), server_default=sa.text("100"), nullable=False),
        sa.Column(
            "last_refill_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_rate_limit_buckets_capacity")),
        sa.CheckConstraint("refill_rate > 0", name=op.f("ck_rate_limit_buckets_refill_rate")),
        sa.CheckConstraint("tokens >= 0", name=op.f("ck_rate_limit_buckets_tokens")),
        sa.ForeignKeyConstraint(
            ["channel_property_id"],
            ["channel_properties.id"],
            name=op.f("fk_rate_limit_buckets_channel_property_id_channel_properties"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel_property_id", name=op.f("pk_rate_limit_buckets")),
    )
    op.create_table(
        "rates",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("room_type_id", sa.Uuid(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("price", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("min_stay", sa.Integer(), nullable=True),
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
        sa.CheckConstraint("min_stay BETWEEN 1 AND 365", name=op.f("ck_rates_min_stay")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_rates_price")),
        sa.ForeignKeyConstraint(
            ["room_type_id"],
            ["room_types.id"],
            name=op.f("fk_rates_room_type_id_room_types"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rates")),
        sa.UniqueConstraint("room_type_id", "date", name=op.f("uq_rates_room_type_id_date")),
    )
    op.create_table(
        "maintenance_blocks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("room_type_id", sa.Uuid(), nullable=False),
        sa.Column("accommodation_id", sa.Uuid(), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=False),
        sa.Column("end_date", sa.Date(), nullable=False),
        sa.Column("units", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("source_modified_at", sa.DateTime(timezone=True), nullable=True),
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
        sa.CheckConstraint(
            "accommodation_id IS NULL OR units = 1", name=op.f("ck_maintenance_blocks_one_unit")
        ),
        sa.CheckConstraint("end_date > start_date", name=op.f("ck_maintenance_blocks_nights")),
        sa.CheckConstraint("units > 0", name=op.f("ck_maintenance_blocks_units")),
        sa.ForeignKeyConstraint(
            ["accommodation_id"],
            ["accommodations.id"],
            name=op.f("fk_maintenance_blocks_accommodation_id_accommodations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["room_type_id"],
            ["room_types.id"],
            name=op.f("fk_maintenance_blocks_room_type_id_room_types"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_blocks")),
    )
    op.create_index(
        op.f("ix_maintenance_blocks_accommodation_id"),
        "maintenance_blocks",
        ["accommodation_id"],
        unique=False,
    )
    op.create_index(
        "ix_maintenance_blocks_nights",
        "maintenance_blocks",
        ["room_type_id", "start_date", "end_date"],
        unique=False,
    )
    op.create_index(
        "uq_maintenance_blocks_channel_external_id",
        "maintenance_blocks",
        ["channel", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "inventory_holds",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("room_type_id", sa.Uuid(), nullable=True),
        sa.Column("check_in", sa.Date(), nullable=False),
        sa.Column("check_out", sa.Date(), nullable=False),
        sa.Column("units_held", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "status", sa.String(length=20), server_default=sa.text("'active'"), nullable=False
        ),
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
        sa.CheckConstraint(
            "status IN ('active', 'confirmed', 'released', 'expired')",
            name=op.f("ck_inventory_holds_status"),
        ),
        sa.CheckConstraint("check_out > check_in", name=op.f("ck_inventory_holds_nights")),
        sa.CheckConstraint("units_held > 0", name=op.f("ck_inventory_holds_units_held")),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservations.id"],
            name=op.f("fk_inventory_holds_reservation_id_reservations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["room_type_id"],
            ["room_types.id"],
            name=op.f("fk_inventory_holds_room_type_id_room_types"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory_holds")),
    )
    op.create_index(
        "ix_inventory_holds_created_at_id", "inventory_holds", ["created_at", "id"], unique=False
    )
    op.create_index(
        "ix_inventory_holds_expiry",
        "inventory_holds",
        ["hold_expires_at", "status"],
        unique=False,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "ix_inventory_holds_nights",
        "inventory_holds",
        ["room_type_id", "check_in", "check_out"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inventory_holds_reservation_id"),
        "inventory_holds",
        ["reservation_id"],
        unique=False,
    )
    op.add_column("channel_events", sa.Column("coalesce_key", sa.String(length=255), nullable=True))
    op.add_column(
        "channel_events",
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "channel_events",
        sa.Column("postponed", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("channel_events", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_channel_events_coalesce_key",
        "channel_events",
        ["channel_property_id", "coalesce_key"],
        unique=False,
        postgresql_where=sa.text("coalesce_key IS NOT NULL AND processed_at IS NULL"),
    )
    op.add_column("reservations", sa.Column("api_reference", sa.String(), nullable=True))
    op.add_column("reservations", sa.Column("sync_error", sa.String(), nullable=True))
    op.create_index(
        "uq_reservations_api_reference",
        "reservations",
        ["api_reference", "unit_no"],
        unique=True,
        postgresql_where=sa.text("api_reference IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_reservations_api_reference",
        table_name="reservations",
        postgresql_where=sa.text("api_reference IS NOT NULL"),
    )
    op.drop_column("reservations", "sync_error")
    op.drop_column("reservations", "api_reference")
    op.drop_index(
        "ix_channel_events_coalesce_key",
        table_name="channel_events",
        postgresql_where=sa.text("coalesce_key IS NOT NULL AND processed_at IS NULL"),
    )
    op.drop_column("channel_events", "sent_at")
    op.drop_column("channel_events", "postponed")
    op.drop_column("channel_events", "priority")
    op.drop_column("channel_events", "coalesce_key")
    op.drop_index(op.f("ix_inventory_holds_reservation_id"), table_name="inventory_holds")
    op.drop_index("ix_inventory_holds_nights", table_name="inventory_holds")
    op.drop_index(
        "ix_inventory_holds_expiry",
        table_name="inventory_holds",
        postgresql_where=sa.text("status = 'active'"),
    )
    op.drop_index("ix_inventory_holds_created_at_id", table_name="inventory_holds")
    op.drop_table("inventory_holds")
    op.drop_index(
        "uq_maintenance_blocks_channel_external_id",
        table_name="maintenance_blocks",
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.drop_index("ix_maintenance_blocks_nights", table_name="maintenance_blocks")
    op.drop_index(op.f("ix_maintenance_blocks_accommodation_id"), table_name="maintenance_blocks")
    op.drop_table("maintenance_blocks")
    op.drop_table("rates")
    op.drop_table("rate_limit_buckets")
