"""Migrations build what the models describe, and can be undone (OPS-09)."""

from __future__ import annotations

import runpy
from collections.abc import Callable

import psycopg
import pytest
from flask_migrate import downgrade, upgrade
from psycopg import sql

from app.config import ROOT, Settings
from app.extensions import Base, db
from app.factory import create_app
from app.local.engines import TestEngines
from tests.conftest import database_url
from tests.events import make_connection
from tests.factories import make_accommodation, make_property


def test_up_down_up_and_nothing_differs(
    engines: TestEngines, make_settings: Callable[..., Settings], worker_id: str
) -> None:
    name = f"migrations_{worker_id}"
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    app = create_app(
        make_settings(DATABASE_URL=database_url(engines, name), REDIS_URL=engines.redis_url)
    )
    with app.app_context():
        upgrade()
        downgrade(revision="base")
        upgrade()
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        with db.engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        db.engine.dispose()
    assert differences == []


def test_the_audit_log_only_grows(app: object, database: str) -> None:
    """DECISIONS 15."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO audit_log (actor, action, entity) VALUES ('system', 'test', 'none')"
        )
        for statement in (
            "UPDATE audit_log SET actor = 'nobody'",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement)


def test_units_that_have_ids_already_are_mapped(app: object, database: str) -> None:
    """What migration 0015 does to a house that was connected before there were mappings."""
    module = runpy.run_path(str(ROOT / "migrations/versions/0015_unit_mappings.py"))
    house = make_property()
    connection = make_connection(house, "beds24")
    first = make_accommodation(house, beds24_room_id="610011")
    second = make_accommodation(house, beds24_room_id="610011", beds24_unit_id="2")
    make_accommodation(house, beds24_room_id="suite")
    make_accommodation(beds24_room_id="610012")
    with psycopg.connect(database, autocommit=True) as raw:
        for _ in range(2):
            raw.execute(module["MAP_UNITS"])
        found = raw.execute(
            "SELECT channel_property_id, mapping_type, internal_id, external_id, is_active"
            " FROM channel_mappings ORDER BY external_id"
        ).fetchall()
    assert found == [
        (connection.id, "room", first.id, "610011:1", True),
        (connection.id, "room", second.id, "610011:2", True),
    ]
