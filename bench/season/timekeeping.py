"""One clock for everybody: the season moves it, the product and PostgreSQL's now() follow it.

The stand-ins of the vendors live in true time. The product's machine may be wrong about it by
`skew`, as machines are; it is what `app.clock` and SQL's `now()` answer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

_FOLLOW = """
CREATE SCHEMA season;
CREATE TABLE season.moment (at timestamptz NOT NULL);
INSERT INTO season.moment VALUES (pg_catalog.now());
CREATE FUNCTION season.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT at FROM season.moment';
"""
#: columns whose default is PostgreSQL's own clock
_STAMPED = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND column_default = 'now()'
"""


class SeasonClock:
    """Stands still until it is moved, and never goes back; only the product's view of it may."""

    def __init__(self, start: datetime) -> None:
        self.true = start
        self.skew = timedelta(0)
        self._database: psycopg.Connection[Any] | None = None

    def product(self) -> datetime:
        """What the product's machine takes for the present."""
        return self.true + self.skew

    def vendors(self) -> datetime:
        """What it really is; the vendors and the guests know it."""
        return self.true

    def move(self, moment: datetime) -> None:
        """Go on to `moment`; an earlier one changes nothing."""
        if moment > self.true:
            self.true = moment
            self._tell()

    def step(self, skew: timedelta) -> None:
        """Let the product's machine be wrong by `skew` from now on."""
        self.skew = skew
        self._tell()

    def sleep(self, seconds: float) -> None:
        """Where the product waits, time passes."""
        self.move(self.true + timedelta(seconds=seconds))

    def govern(self, database_url: str) -> None:
        """Have SQL's now() answer this clock in a migrated database, for sessions that begin from
        now on: a function of the same name stands before PostgreSQL's own in the search path."""
        connection = psycopg.connect(database_url, autocommit=True)
        connection.execute(_FOLLOW)
        for table, column in connection.execute(_STAMPED).fetchall():
            connection.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT season.now()").format(
                    sql.Identifier(table), sql.Identifier(column)
                )
            )
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET search_path = season, pg_catalog, public").format(
                sql.Identifier(connection.info.dbname)
            )
        )
        connection.execute("SET search_path = season, pg_catalog, public")
        connection.execute("SET synchronous_commit = off")
        self._database = connection
        self._tell()

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _tell(self) -> None:
        if self._database is not None:
            self._database.execute("UPDATE season.moment SET at = %s", [self.product()])


def utc(moment: datetime) -> datetime:
    """`moment` in UTC."""
    return moment.astimezone(UTC)
