"""Batches of repairs on events, and an index that counts and filters events without reading them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "event_batches",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        sa.Column("event_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("order_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "skipped", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(
            "verb IN ('retry', 'ignore', 'replay')", name=op.f("ck_event_batches_verb")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_batches")),
    )
    op.create_index(
        "ix_event_batches_open",
        "event_batches",
        ["updated_at"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.drop_index("ix_channel_events_received_at_id", table_name="channel_events")
    op.create_index(
        "ix_channel_events_received_at_id",
        "channel_events",
        ["received_at", "id"],
        postgresql_include=[
            "status",
            "direction",
            "source",
            "event_type",
            "channel_property_id",
            "entity_internal_id",
            "entity_external_id",
        ],
    )
    # The beginning of a channel's id as people type it, in any case.
    op.create_index(
        "ix_channel_events_id_text",
        "channel_events",
        [sa.text("lower(entity_external_id) text_pattern_ops")],
    )


def downgrade() -> None:
    op.drop_index("ix_channel_events_id_text", table_name="channel_events")
    op.drop_index("ix_channel_events_received_at_id", table_name="channel_events")
    op.create_index("ix_channel_events_received_at_id", "channel_events", ["received_at", "id"])
    op.drop_index("ix_event_batches_open", table_name="event_batches")
    op.drop_table("event_batches")
