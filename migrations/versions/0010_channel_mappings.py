"""Accounts, mappings and calendars of channels; what events wait for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "channel_accounts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("channel_name", sa.String(length=50), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("seed_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("refresh_token_encrypted", sa.String(), nullable=False),
        sa.Column("access_token_encrypted", sa.String(), nullable=True),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_at", sa.DateTime(timezone=True), nullable=True),
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
            "origin IN ('invite', 'token', 'environment')", name=op.f("ck_channel_accounts_origin")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_accounts")),
        sa.UniqueConstraint(
            "channel_name",
            "seed_fingerprint",
            name=op.f("uq_channel_accounts_channel_name_seed_fingerprint"),
        ),
    )
    op.create_table(
        "channel_calendar_days",
        sa.Column("channel_property_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=True),
        sa.Column("price", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("min_stay", sa.Integer(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_property_id"],
            ["channel_properties.id"],
            name=op.f("fk_channel_calendar_days_channel_property_id_channel_properties"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "channel_property_id", "external_id", "day", name=op.f("pk_channel_calendar_days")
        ),
    )
    op.create_table(
        "channel_mappings",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("channel_property_id", sa.Uuid(), nullable=False),
        sa.Column("mapping_type", sa.String(length=50), nullable=False),
        sa.Column("internal_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column(
            "metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
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
            "mapping_type IN ('room', 'rate', 'property', 'room_type')",
            name=op.f("ck_channel_mappings_mapping_type"),
        ),
        sa.ForeignKeyConstraint(
            ["channel_property_id"],
            ["channel_properties.id"],
            name=op.f("fk_channel_mappings_channel_property_id_channel_properties"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_mappings")),
        sa.UniqueConstraint(
            "channel_property_id",
            "mapping_type",
            "external_id",
            name="uq_channel_mappings_external_id",
        ),
        sa.UniqueConstraint(
            "channel_property_id",
            "mapping_type",
            "internal_id",
            name="uq_channel_mappings_internal_id",
        ),
    )
    op.create_index(
        "ix_channel_mappings_active",
        "channel_mappings",
        ["channel_property_id", "mapping_type", "is_active"],
        unique=False,
    )
    op.create_index(
        "ix_channel_mappings_external",
        "channel_mappings",
        ["mapping_type", "external_id"],
        unique=False,
    )
    op.create_index(
        "ix_channel_mappings_internal",
        "channel_mappings",
        ["mapping_type", "internal_id"],
        unique=False,
    )
    op.add_column(
        "channel_events", sa.Column("entity_modified_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("channel_events", sa.Column("waiting_for", sa.String(length=255), nullable=True))
    op.create_index(
        "ix_channel_events_waiting_for",
        "channel_events",
        ["channel_property_id", "waiting_for"],
        unique=False,
        postgresql_where=sa.text("status = 'failed' AND waiting_for IS NOT NULL"),
    )
    op.add_column("channel_properties", sa.Column("status_reason", sa.String(), nullable=True))
    op.add_column("channel_properties", sa.Column("account_id", sa.Uuid(), nullable=True))
    op.add_column(
        "channel_properties", sa.Column("webhook_secret_encrypted", sa.String(), nullable=True)
    )
    op.create_index(
        op.f("ix_channel_properties_account_id"), "channel_properties", ["account_id"], unique=False
    )
    op.create_index(
        "uq_channel_properties_beds24",
        "channel_properties",
        ["channel_property_id"],
        unique=True,
        postgresql_where=sa.text("channel_name = 'beds24'"),
    )
    op.create_foreign_key(
        op.f("fk_channel_properties_account_id_channel_accounts"),
        "channel_properties",
        "channel_accounts",
        ["account_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.add_column("reservations", sa.Column("group_ref", sa.String(), nullable=True))
    op.add_column("reservations", sa.Column("channel_room_ref", sa.String(), nullable=True))
    op.create_index(
        "ix_reservations_group_ref",
        "reservations",
        ["channel", "group_ref"],
        unique=False,
        postgresql_where=sa.text("group_ref IS NOT NULL"),
    )
    op.create_index(
        "ix_reservations_unassigned",
        "reservations",
        ["room_type_id", "check_in_at"],
        unique=False,
        postgresql_where=sa.text("accommodation_id IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_reservations_unassigned",
        table_name="reservations",
        postgresql_where=sa.text("accommodation_id IS NULL"),
    )
    op.drop_index(
        "ix_reservations_group_ref",
        table_name="reservations",
        postgresql_where=sa.text("group_ref IS NOT NULL"),
    )
    op.drop_column("reservations", "channel_room_ref")
    op.drop_column("reservations", "group_ref")
    op.drop_constraint(
        op.f("fk_channel_properties_account_id_channel_accounts"),
        "channel_properties",
        type_="foreignkey",
    )
    op.drop_index(
        "uq_channel_properties_beds24",
        table_name="channel_properties",
        postgresql_where=sa.text("channel_name = 'beds24'"),
    )
    op.drop_index(op.f("ix_channel_properties_account_id"), table_name="channel_properties")
    op.drop_column("channel_properties", "webhook_secret_encrypted")
    op.drop_column("channel_properties", "account_id")
    op.drop_column("channel_properties", "status_reason")
    op.drop_index(
        "ix_channel_events_waiting_for",
        table_name="channel_events",
        postgresql_where=sa.text("status = 'failed' AND waiting_for IS NOT NULL"),
    )
    op.drop_column("channel_events", "waiting_for")
    op.drop_column("channel_events", "entity_modified_at")
    op.drop_index("ix_channel_mappings_internal", table_name="channel_mappings")
    op.drop_index("ix_channel_mappings_external", table_name="channel_mappings")
    op.drop_index("ix_channel_mappings_active", table_name="channel_mappings")
    op.drop_table("channel_mappings")
    op.drop_table("channel_calendar_days")
    op.drop_table("channel_accounts")
