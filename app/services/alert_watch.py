"""Each minute: look at everything that may go wrong, then tell what has changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import structlog

from app import clock
from app.domain.alert_limits import Limits
from app.models import ProcessHeartbeat
from app.queue import client as queue
from app.services import (
    alert_event_rules,
    alert_notices,
    alert_run_rules,
    alert_sending,
    alert_settings,
    alert_world_rules,
    contention,
)
from app.services.alert_rules import Look, Rule, settle
from app.transaction import transaction

log = structlog.get_logger(__name__)

RULES: tuple[Rule, ...] = (
    *alert_event_rules.RULES,
    *alert_run_rules.RULES,
    *alert_world_rules.RULES,
)
#: a look this long ago is no watch: the database or all of us were away meanwhile
BREAK = timedelta(seconds=150)
#: the clock's tick may have been lost, or the clock itself: then the sweep has it done
OVERDUE = timedelta(seconds=75)


def evaluate() -> dict[str, int]:
    """Open and close alerts by every rule, and plan the notices; how much each rule found.

    A rule that breaks silences no other, and raises once all have had their turn.
    """
    now = clock.utcnow()
    with transaction() as session:
        limits = alert_settings.read(session).limits
        before = alert_settings.watched_at(session)
    watching = before is not None and before > now - BREAK
    found, failed = _look(RULES, now, limits, watching)
    with transaction() as session:
        alert_settings.put(session, alert_settings.WATCHED, now.isoformat(), "system")
    alert_notices.plan(now)
    if any(found.values()):
        log.info("alerts_standing", **{kind: count for kind, count in found.items() if count})
    if failed is not None:
        raise failed
    return found


def _look(
    rules: tuple[Rule, ...], now: datetime, limits: Limits, watching: bool
) -> tuple[dict[str, int], Exception | None]:
    found: dict[str, int] = {}
    failed: Exception | None = None
    for rule in rules:
        try:
            found[rule.kind] = contention.patient(partial(_settle, rule, now, limits, watching))
        except Exception as error:
            failed = error
            log.error("alert_rule_failed", kind=rule.kind, error=type(error).__name__)
    return found, failed


def _settle(rule: Rule, now: datetime, limits: Limits, watching: bool) -> int:
    with transaction() as session:
        return settle(rule, Look(session, now, limits, watching))


def queue_due(now: datetime) -> int:
    """For the sweep: have the minute's look taken when its tick was lost, and what is due sent."""
    with transaction() as session:
        before = alert_settings.watched_at(session)
        due = alert_sending.due(session, now)
    overdue = before is not None and before <= now - OVERDUE
    if overdue:
        queue.enqueue("alerts.evaluate")
    if due:
        queue.enqueue("alerts.send")
    return int(overdue) + due


def guard() -> bool:
    """For the clock, which nobody may rely on a worker for: when no worker lives, look after the
    processes and send what is due from here. Whether that was so."""
    now = clock.utcnow()
    with transaction() as session:
        limits = alert_settings.read(session).limits
        alive_after = now - limits.span("process_gone")
        workers = session.query(ProcessHeartbeat.seen_at).filter_by(kind="worker").all()
    if not workers or any(row.seen_at > alive_after for row in workers):
        return False
    rules = tuple(rule for rule in RULES if rule.kind == "process_gone")
    _, failed = _look(rules, now, limits, True)
    alert_notices.plan(now)
    alert_sending.send_due()
    if failed is not None:
        raise failed
    return True
