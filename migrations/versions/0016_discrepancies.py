"""What two sides disagree on, and the report of a deep comparison."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KINDS = "'stays', 'beds24_bookings', 'beds24_availability', 'beds24_rates'"
DEEP = "'stays_deep', 'beds24_deep'"


def upgrade() -> None:
    op.create_table(
        "discrepancies",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("channel_property_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("room_type_id", sa.Uuid(), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("status", sa.String(length=20), server_default=sa.text("'open'"), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("ours", JSONB(), nullable=True),
        sa.Column("theirs", JSONB(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column(
            "opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run_id", sa.Uuid(), nullable=True),
        sa.Column("times_opened", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("action", sa.String(length=20), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
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
            "action IN ('accept_channel', 'accept_pms', 'dismiss', 'agreed')",
            name=op.f("ck_discrepancies_action"),
        ),
        sa.CheckConstraint(
            "kind IN ('missing', 'dates', 'room', 'status', 'amount', 'currency', 'guest', 'availability', 'rate')",
            name=op.f("ck_discrepancies_kind"),
        ),
        sa.CheckConstraint(
            "severity IN ('high', 'medium', 'low')", name=op.f("ck_discrepancies_severity")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'resolved', 'dismissed')", name=op.f("ck_discrepancies_status")
        ),
        sa.ForeignKeyConstraint(
            ["channel_property_id"],
            ["channel_properties.id"],
            name=op.f("fk_discrepancies_channel_property_id_channel_properties"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["last_run_id"],
            ["reconciliation_logs.id"],
            name=op.f("fk_discrepancies_last_run_id_reconciliation_logs"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["reservation_id"],
            ["reservations.id"],
            name=op.f("fk_discrepancies_reservation_id_reservations"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["room_type_id"],
            ["room_types.id"],
            name=op.f("fk_discrepancies_room_type_id_room_types"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancies")),
        sa.UniqueConstraint(
            "channel_property_id",
            "kind",
            "subject",
            name=op.f("uq_discrepancies_channel_property_id_kind_subject"),
        ),
    )
    op.create_index("ix_discrepancies_external_id", "discrepancies", ["external_id"], unique=False)
    op.create_index(
        op.f("ix_discrepancies_reservation_id"), "discrepancies", ["reservation_id"], unique=False
    )
    op.create_index(
        op.f("ix_discrepancies_room_type_id"), "discrepancies", ["room_type_id"], unique=False
    )
    op.create_index(
        "ix_discrepancies_status_opened_at", "discrepancies", ["status", "opened_at"], unique=False
    )
    op.create_table(
        "comparison_reports",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("figures", JSONB(), nullable=False),
        sa.Column("differences", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["reconciliation_logs.id"],
            name=op.f("fk_comparison_reports_run_id_reconciliation_logs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_comparison_reports")),
    )
    op.add_column(
        "reconciliation_logs",
        sa.Column("flagged", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.drop_constraint(op.f("ck_reconciliation_logs_kind"), "reconciliation_logs", type_="check")
    op.create_check_constraint(
        op.f("ck_reconciliation_logs_kind"), "reconciliation_logs", f"kind IN ({KINDS}, {DEEP})"
    )


def downgrade() -> None:
    op.execute("DELETE FROM reconciliation_logs WHERE kind IN ('stays_deep', 'beds24_deep')")
    op.drop_constraint(op.f("ck_reconciliation_logs_kind"), "reconciliation_logs", type_="check")
    op.create_check_constraint(
        op.f("ck_reconciliation_logs_kind"), "reconciliation_logs", f"kind IN ({KINDS})"
    )
    op.drop_column("reconciliation_logs", "flagged")
    op.drop_table("comparison_reports")
    op.drop_table("discrepancies")
