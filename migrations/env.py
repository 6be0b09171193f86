"""Runs the migrations inside the Flask app, one transaction for all of them."""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import text

config = context.config
#: two deploys may migrate at once; the second waits for the first
MIGRATION_LOCK = 7_305_120_001


def _engine() -> Any:
    return current_app.extensions["migrate"].db.engine


def run_migrations_online() -> None:
    with _engine().connect() as connection:
        connection.execute(text("SET lock_timeout = '60s'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=current_app.extensions["migrate"].db.metadatas[None],
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("migrations need a database; --sql is not supported")
run_migrations_online()
