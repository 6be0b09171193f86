"""Which call a channel refused an account, when it refuses only that one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channel_accounts", sa.Column("refused_call", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("channel_accounts", "refused_call")
