"""What runs once when the system starts, however many workers start with it (ROOM-10, C-38)."""

from __future__ import annotations

import structlog
from flask import Flask
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.queue.client import Alarm, place
from app.queue.registry import JOBS

log = structlog.get_logger(__name__)

#: of a lock that the process keeps for its life: it does not survive a restart (DECISIONS 20)
LOCK = 815_162_399


def order(app: Flask) -> Connection | None:
    """Order every job marked `at_start`, unless a living process of the system has done it.

    The connection that is returned holds the lock and must be kept while the process lives. None
    when another process has it, or the database is away: then the schedule brings the jobs.
    """
    jobs = [spec.name for spec in JOBS.values() if spec.at_start]
    with app.app_context():
        try:
            connection = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()  # not one of those that the jobs share
            first = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK})
        except SQLAlchemyError as error:
            log.warning("start_jobs_not_ordered", error=type(error).__name__)
            return None
        if not first:
            connection.close()
            return None
        try:
            place([Alarm(name) for name in jobs])
        except RedisError as error:
            log.warning("start_jobs_not_ordered", error=type(error).__name__)
        else:
            log.info("start_jobs_ordered", jobs=jobs)
    return connection
