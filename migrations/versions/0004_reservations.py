"""Reservations, credentials and PIN jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("property_id", sa.Uuid(), nullable=False),
        sa.Column("accommodation_id", sa.Uuid(), nullable=True),
        sa.Column("room_type_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("unit_no", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("external_code", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("unknown_status", sa.String(), nullable=True),
        sa.Column("guest_name", sa.String(), nullable=True),
        sa.Column("guest_email", sa.String(), nullable=True),
        sa.Column("guest_phone", sa.String(), nullable=True),
        sa.Column("adults", sa.Integer(), nullable=True),
        sa.Column("children", sa.Integer(), nullable=True),
        sa.Column("units", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("check_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("check_out_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("check_in_on", sa.Date(), nullable=False),
        sa.Column("check_out_on", sa.Date(), nullable=False),
        sa.Column(
            "check_in_time_known", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column(
            "check_out_time_known", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("amount", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("partner", sa.String(), nullable=True),
        sa.Column("partner_ref", sa.String(), nullable=True),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("sweep_hash", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("search_text", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('simple', search_text)", persisted=True),
            nullable=False,
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
            "source IN ('stays', 'beds24', 'direct')", name=op.f("ck_reservations_source")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'pending_sync', 'confirmed', 'checked_in', 'checked_out', 'cancelled', 'no_show', 'failed')",
            name=op.f("ck_reservations_status"),
        ),
        sa.CheckConstraint("check_out_at > check_in_at", name=op.f("ck_reservations_window")),
        sa.CheckConstraint("units > 0", name=op.f("ck_reservations_units")),
        sa.ForeignKeyConstraint(
            ["accommodation_id"],
            ["accommodations.id"],
            name=op.f("fk_reservations_accommodation_id_accommodations"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["property_id"],
            ["properties.id"],
            name=op.f("fk_reservations_property_id_properties"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["room_type_id"],
            ["room_types.id"],
            name=op.f("fk_reservations_room_type_id_room_types"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    op.create_index(
        "ix_reservations_accommodation_id_check_in_at",
        "reservations",
        ["accommodation_id", "check_in_at"],
        unique=False,
    )
    op.create_index(
        "ix_reservations_check_in_at_id", "reservations", ["check_in_at", "id"], unique=False
    )
    op.create_index("ix_reservations_check_out_at", "reservations", ["check_out_at"], unique=False)
    op.create_index(
        "ix_reservations_created_at_id", "reservations", ["created_at", "id"], unique=False
    )
    op.create_index(
        "ix_reservations_property_id_check_in_at",
        "reservations",
        ["property_id", "check_in_at"],
        unique=False,
    )
    op.create_index("ix_reservations_room_type_id", "reservations", ["room_type_id"], unique=False)
    op.create_index(
        "ix_reservations_search", "reservations", ["search"], unique=False, postgresql_using="gin"
    )
    op.create_index(
        "ix_reservations_status_check_in_at",
        "reservations",
        ["status", "check_in_at"],
        unique=False,
    )
    op.create_index("ix_reservations_updated_at", "reservations", ["updated_at"], unique=False)
    op.create_index(
        "uq_reservations_channel_external_id",
        "reservations",
        ["channel", "external_id", "unit_no"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("lock_id", sa.Uuid(), nullable=False),
        sa.Column("pin_encrypted", sa.String(), nullable=True),
        sa.Column("pin_last2", sa.String(), nullable=False),
        sa.Column("pin_fingerprint", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'requested'"), nullable=False),
        sa.Column(
            "is_active",
            sa.Boolean(),
            sa.Computed("state = 'installed'", persisted=True),
            nullable=False,
        ),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vendor_ref", sa.String(), nullable=True),
        sa.Column("vendor_name", sa.String(), nullable=False),
        sa.Column("vendor_detail", sa.String(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_kind", sa.String(), nullable=True),
        sa.Column("revoke_reason", sa.String(), nullable=True),
        sa.Column("revoke_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
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
            "revoke_reason IN ('window_over', 'cancelled', 'moved', 'unmapped', 'reprocessed', 'manual', 'vanished', 'double_booked')",
            name=op.f("ck_credentials_revoke_reason"),
        ),
        sa.CheckConstraint(
            "state IN ('requested', 'uncertain', 'accepted', 'pending', 'installed', 'failed', 'unknown', 'revoking', 'revoked')",
            name=op.f("ck_credentials_state"),
        ),
        sa.CheckConstraint("expires_at > valid_from", name=op.f("ck_credentials_window")),
        sa.ForeignKeyConstraint(
            ["lock_id"],
            ["locks.id"],
            name=op.f("fk_credentials_lock_id_locks"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservations.id"],
            name=op.f("fk_credentials_reservation_id_reservations"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint(
            "lock_id", "vendor_name", name=op.f("uq_credentials_lock_id_vendor_name")
        ),
    )
    op.create_index(
        "ix_credentials_live",
        "credentials",
        ["lock_id", "state"],
        unique=False,
        postgresql_where=sa.text("state <> 'revoked'"),
    )
    op.create_index(
        "ix_credentials_reservation_id_created_at",
        "credentials",
        ["reservation_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "uq_credentials_pin",
        "credentials",
        ["lock_id", "pin_fingerprint"],
        unique=True,
        postgresql_where=sa.text("state <> 'revoked'"),
    )
    op.create_index(
        "uq_credentials_wanted",
        "credentials",
        ["reservation_id", "lock_id"],
        unique=True,
        postgresql_where=sa.text(
            "state IN ('requested', 'uncertain', 'accepted', 'pending', 'installed', 'failed', 'unknown') AND reservation_id IS NOT NULL"
        ),
    )
    op.create_table(
        "pin_jobs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("credential_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), server_default=sa.text("'scheduled'"), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_error_kind", sa.String(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
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
        sa.CheckConstraint("kind IN ('generate', 'revoke')", name=op.f("ck_pin_jobs_kind")),
        sa.CheckConstraint(
            "reason IN ('window_over', 'cancelled', 'moved', 'unmapped', 'reprocessed', 'manual', 'vanished', 'double_booked')",
            name=op.f("ck_pin_jobs_reason"),
        ),
        sa.CheckConstraint(
            "status IN ('scheduled', 'queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_pin_jobs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credentials.id"],
            name=op.f("fk_pin_jobs_credential_id_credentials"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservations.id"],
            name=op.f("fk_pin_jobs_reservation_id_reservations"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pin_jobs")),
    )
    op.create_index(op.f("ix_pin_jobs_credential_id"), "pin_jobs", ["credential_id"], unique=False)
    op.create_index(
        "ix_pin_jobs_due",
        "pin_jobs",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        "ix_pin_jobs_reservation_id_kind", "pin_jobs", ["reservation_id", "kind"], unique=False
    )
    op.create_index(
        "uq_pin_jobs_open_generate",
        "pin_jobs",
        ["reservation_id"],
        unique=True,
        postgresql_where=sa.text(
            "kind = 'generate' AND status IN ('scheduled', 'queued', 'running', 'failed')"
        ),
    )
    op.create_index(
        "uq_pin_jobs_open_revoke",
        "pin_jobs",
        ["credential_id"],
        unique=True,
        postgresql_where=sa.text(
            "kind = 'revoke' AND credential_id IS NOT NULL AND status IN ('scheduled', 'queued', 'running', 'failed')"
        ),
    )
    op.create_index(
        "uq_pin_jobs_planned_revoke",
        "pin_jobs",
        ["reservation_id"],
        unique=True,
        postgresql_where=sa.text(
            "kind = 'revoke' AND credential_id IS NULL AND status IN ('scheduled', 'queued', 'running', 'failed')"
        ),
    )


def downgrade() -> None:
    op.drop_table("pin_jobs")
    op.drop_table("credentials")
    op.drop_table("reservations")
