"""Connections that died while they lay idle are replaced before anybody notices (PERF-07)."""

from __future__ import annotations

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from app import extensions
from app.extensions import db
from app.transaction import statements, transaction


def pid() -> int:
    with transaction() as session:
        return int(session.scalar(text("SELECT pg_backend_pid()")) or 0)


def undone(statement: str) -> None:
    """A unit of work that ends badly."""
    with transaction(), statements() as session:
        session.execute(text(statement))
        raise ZeroDivisionError


def test_an_idle_connection_that_was_cut_is_replaced(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.engine.dispose()
    first = pid()
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    monkeypatch.setattr(extensions, "IDLE_SECONDS", 0.0)
    assert pid() != first


def test_one_in_use_is_not_asked_again(app: Flask) -> None:
    db.engine.dispose()
    first = pid()
    assert pid() == first


def test_statements_commit_one_by_one_and_leave_the_pool_as_it_was(app: Flask) -> None:
    with statements() as session:
        session.execute(
            text("INSERT INTO properties (name, timezone, currency) VALUES ('A', 'UTC', 'EUR')")
        )
        with transaction() as other:
            assert other.scalar(text("SELECT count(*) FROM properties")) == 1
    with pytest.raises(ZeroDivisionError):
        undone("DELETE FROM properties")  # over the same connection
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM properties")) == 1


def test_statements_join_a_unit_of_work(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError):
        undone("INSERT INTO properties (name, timezone, currency) VALUES ('A', 'UTC', 'EUR')")
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM properties")) == 0
