"""Which room we chose for a stay ourselves, so that we may move it while nobody knows of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reservations", sa.Column("given_room_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("reservations", "given_room_id")
