"""Nothing but the purge function changes an audit entry, and it cannot do so silently."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from app.models import AuditEntry
from app.services import audit, audit_purge
from app.services.audit import SYSTEM, Actor, Deed
from app.transaction import transaction
from tests.conftest import Clock

RUTH = Actor("ruth@example.org", uuid4(), "admin", "10.0.0.7")
HELENA = {"guest_name": "Helena Prado", "note": "call helena prado", "nights": 2}


@pytest.fixture
def entry_id(app: Flask, clock: Clock) -> UUID:
    with transaction() as session:
        audit.record_many(session, RUTH, [Deed("update", "reservation", "r", None, HELENA)])
    return entries()[0].id


def entries() -> list[AuditEntry]:
    with transaction() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.action.desc())))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "UPDATE audit_log SET after = NULL",
        "UPDATE audit_log SET ip = NULL",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (id, actor, action, entity) SELECT id, 'x', 'x', 'x' FROM audit_log "
        "ON CONFLICT (id) DO UPDATE SET actor = 'x'",
    ],
)
@pytest.mark.parametrize("ticket", ["", "on", "00000000-0000-4000-8000-000000000000", "its own"])
def test_no_statement_changes_an_entry(entry_id: UUID, statement: str, ticket: str) -> None:
    said = ticket.replace("its own", str(entry_id))
    with db.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT set_config('turnkey.audit_purge', '{said}', true)")
        with pytest.raises(DBAPIError, match="audit_log is append-only"):
            connection.exec_driver_sql(statement)
    (row,) = entries()
    assert (row.actor, row.after, row.ip) == ("ruth@example.org", HELENA, "10.0.0.7")


def test_a_purge_leaves_its_own_entry(entry_id: UUID) -> None:
    with transaction() as session:
        why = {"reason": "retention"}
        done = audit_purge.purge(session, actor=RUTH, why=why, remove=[entry_id, uuid4()])
    assert done == (1, 0)
    (row,) = entries()
    assert (row.actor, row.actor_id, row.ip) == ("ruth@example.org", RUTH.user_id, "10.0.0.7")
    assert (row.action, row.entity) == ("purge", "audit_log")
    assert row.after is not None
    assert {**row.after, "transaction": ""} == {
        "reason": "retention",
        "removed": 1,
        "scrubbed": 0,
        "transaction": "",
    }


def test_a_purges_own_entry_cannot_be_purged(entry_id: UUID) -> None:
    with transaction() as session:
        audit_purge.purge(session, actor=RUTH, why={}, remove=[entry_id])
    (ticket,) = entries()
    with transaction() as session:
        done = audit_purge.purge(session, actor=SYSTEM, why={}, remove=[ticket.id])
    assert done == (0, 0)
    assert [row.id for row in entries()] == [ticket.id]


def test_what_a_purge_allowed_is_over_with_it(entry_id: UUID) -> None:
    with transaction() as session:
        audit.record(session, SYSTEM, "create", "lock", 1)
    with db.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT * FROM audit_purge(ARRAY[CAST(:id AS uuid)], '[]', '{}', '{}', 'x', NULL,"
                " NULL, now())"
            ),
            {"id": entry_id},
        )
        with pytest.raises(DBAPIError, match="append-only"):
            connection.exec_driver_sql("DELETE FROM audit_log")


def test_emptying_takes_words_and_nothing_else(entry_id: UUID) -> None:
    with transaction() as session:
        done = audit_purge.purge(
            session,
            actor=SYSTEM,
            why={"reason": "erasure"},
            scrub={entry_id: ["HELENA PRADO"]},
            keys=["guest_name"],
        )
    assert done == (0, 1)
    row = next(each for each in entries() if each.id == entry_id)
    assert row.after == {"guest_name": "[removed]", "note": "[removed]", "nights": 2}
    assert (row.actor, row.action, row.ip) == ("ruth@example.org", "update", "10.0.0.7")


def test_nothing_to_do_leaves_nothing(app: Flask, clock: Clock) -> None:
    with transaction() as session:
        assert audit_purge.purge(session, actor=SYSTEM, why={}, remove=[uuid4()]) == (0, 0)
    assert entries() == []


#: what docs/privacy.md gives the application's own role
GRANTS = """
    CREATE ROLE turnkey_app NOLOGIN NOSUPERUSER;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO turnkey_app;
    REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM turnkey_app;
    GRANT EXECUTE ON FUNCTION
        audit_purge(uuid[], jsonb, text[], jsonb, text, uuid, text, timestamptz) TO turnkey_app;
    SET ROLE turnkey_app;
"""


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("DELETE FROM audit_log", "permission denied for table audit_log"),
        ("TRUNCATE audit_log", "permission denied for table audit_log"),
        ("ALTER TABLE audit_log DISABLE TRIGGER ALL", "must be owner of table audit_log"),
        ("SET session_replication_role = replica", "permission denied to set parameter"),
        (
            "CREATE OR REPLACE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END'",
            "permission denied for schema public|must be owner of function",
        ),
    ],
)
def test_a_role_of_its_own_cannot_get_around_the_trigger(
    entry_id: UUID, statement: str, refusal: str
) -> None:
    with db.engine.connect() as connection:  # rolled back at the end: roles belong to the cluster
        connection.exec_driver_sql(GRANTS)
        with pytest.raises(DBAPIError, match=refusal):
            connection.exec_driver_sql(statement)


def test_a_role_of_its_own_writes_and_purges(entry_id: UUID) -> None:
    with db.engine.connect() as connection:
        connection.exec_driver_sql(GRANTS)
        connection.exec_driver_sql(
            "INSERT INTO audit_log (actor, action, entity) VALUES ('x', 'create', 'lock')"
        )
        done = connection.execute(
            text(
                "SELECT removed FROM audit_purge(ARRAY[CAST(:id AS uuid)], '[]', '{}', '{}', 'x',"
                " NULL, NULL, now())"
            ),
            {"id": entry_id},
        )
        assert done.scalar_one() == 1


def test_nobody_else_may_call_it(app: Flask) -> None:
    with db.engine.connect() as connection:
        allowed = connection.scalar(
            text(
                "SELECT has_function_privilege('public', p.oid, 'execute') FROM pg_proc p "
                "WHERE p.proname = 'audit_purge'"
            )
        )
    assert allowed is False
