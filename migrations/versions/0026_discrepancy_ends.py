"""A discrepancy also ends because its nights are over, or its room is no longer mapped."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

WAS = ("accept_channel", "accept_pms", "dismiss", "agreed")


def upgrade() -> None:
    _allow(*WAS, "over", "unmapped")


def downgrade() -> None:
    op.execute("UPDATE discrepancies SET action = 'agreed' WHERE action IN ('over', 'unmapped')")
    _allow(*WAS)


def _allow(*actions: str) -> None:
    name = op.f("ck_discrepancies_action")
    op.drop_constraint(name, "discrepancies", type_="check")
    listed = ", ".join(f"'{action}'" for action in actions)
    op.create_check_constraint(name, "discrepancies", f"action IN ({listed})")
