"""Whether an alarm has an open order is looked up by its id, not among all orders there ever were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_pin_jobs_open_job_id",
        "pin_jobs",
        ["job_id"],
        postgresql_where=sa.text("status IN ('scheduled', 'queued', 'running', 'failed')"),
    )


def downgrade() -> None:
    op.drop_index("ix_pin_jobs_open_job_id", "pin_jobs")
