"""When a PIN was first on its lock: a changed window must not make an early one look late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "credentials", sa.Column("first_installed_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute("UPDATE credentials SET first_installed_at = installed_at")


def downgrade() -> None:
    op.drop_column("credentials", "first_installed_at")
