"""Notices of alerts, what an admin has set, and measurements over time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alerts", sa.Column("acknowledged_by", sa.String(), nullable=True))
    op.add_column("alerts", sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "alerts", sa.Column("notices", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_table(
        "alert_notices",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "status", sa.String(length=10), server_default=sa.text("'pending'"), nullable=False
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
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
        sa.CheckConstraint(
            "reason IN ('opened', 'reminder', 'escalated', 'resolved', 'test')",
            name=op.f("ck_alert_notices_reason"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'sent', 'failed', 'skipped')",
            name=op.f("ck_alert_notices_status"),
        ),
        sa.CheckConstraint("way IN ('email', 'webhook')", name=op.f("ck_alert_notices_way")),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alerts.id"],
            name=op.f("fk_alert_notices_alert_id_alerts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_notices")),
        sa.UniqueConstraint(
            "alert_id", "way", "number", name=op.f("uq_alert_notices_alert_id_way_number")
        ),
    )
    op.create_index(
        "ix_alert_notices_due",
        "alert_notices",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "system_settings",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", JSONB(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_system_settings")),
    )
    op.create_table(
        "metric_points",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("labels", sa.String(length=200), nullable=False),
        sa.Column("step", sa.String(length=6), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("buckets", sa.ARRAY(sa.BigInteger()), nullable=True),
        sa.CheckConstraint("step IN ('minute', 'hour')", name=op.f("ck_metric_points_step")),
        sa.PrimaryKeyConstraint("name", "labels", "step", "at", name=op.f("pk_metric_points")),
    )
    op.create_index("ix_metric_points_step_at", "metric_points", ["step", "at"], unique=False)


def downgrade() -> None:
    op.drop_table("metric_points")
    op.drop_table("system_settings")
    op.drop_table("alert_notices")
    op.drop_column("alerts", "notices")
    op.drop_column("alerts", "escalated_at")
    op.drop_column("alerts", "acknowledged_by")
