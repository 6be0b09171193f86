"""Names of channels, lock vendors and kinds of runs are checked by their form.

Which there are is for the maps in the code to say, so that one more needs no migration.
"""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

#: table, column -> the names it was held to
CLOSED = {
    ("reservations", "source"): "'stays', 'beds24', 'direct'",
    ("locks", "vendor"): "'tuya', 'fake'",
    ("reconciliation_logs", "kind"): (
        "'stays', 'beds24_bookings', 'beds24_availability', 'beds24_rates', "
        "'stays_deep', 'beds24_deep'"
    ),
}


def upgrade() -> None:
    for table, column in CLOSED:
        _replace(table, column, f"{column} ~ '^[a-z][a-z0-9_]{{0,49}}$'")


def downgrade() -> None:
    """Fails while rows of a channel or vendor are there that these names do not know."""
    for (table, column), names in CLOSED.items():
        _replace(table, column, f"{column} IN ({names})")


def _replace(table: str, column: str, condition: str) -> None:
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, condition)
