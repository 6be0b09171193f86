"""Open stays are found and counted from an index, and a property's from one in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_reservations_open",
        "reservations",
        ["check_in_at", "id"],
        postgresql_include=[
            "property_id",
            "status",
            "check_out_at",
            "check_in_on",
            "check_out_on",
        ],
        postgresql_where=sa.text(
            "status IN ('pending', 'pending_sync', 'confirmed', 'checked_in')"
        ),
    )
    op.create_index(
        "ix_reservations_property_id_check_in_at_id",
        "reservations",
        ["property_id", "check_in_at", "id"],
    )
    op.drop_index("ix_reservations_property_id_check_in_at", "reservations")


def downgrade() -> None:
    op.create_index(
        "ix_reservations_property_id_check_in_at", "reservations", ["property_id", "check_in_at"]
    )
    op.drop_index("ix_reservations_property_id_check_in_at_id", "reservations")
    op.drop_index("ix_reservations_open", "reservations")
