"""When messages pile up or fail: dead letters, failures, the share that succeeds, queues."""

from __future__ import annotations

from datetime import timedelta

from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, func, select

from app.domain.states import EventStatus
from app.models import ChannelEvent, ChannelEventAttempt
from app.queue import status
from app.queue.registry import MAINTENANCE, PINS, RECONCILIATION
from app.services.alert_rules import WARNING, Finding, Found, Look, Rule
from app.services.event_rows import INBOUND, OUTBOUND

HOUR = timedelta(hours=1)
#: an event that ended within the hour came within this time, but for those replayed by hand
RECENT = timedelta(hours=24)
WAITING = (EventStatus.RECEIVED, EventStatus.RETRYING, EventStatus.PROCESSING)
#: what waits in Redis only: the other queues hold one job per event, and events are counted here
JOB_QUEUES = (PINS, RECONCILIATION, MAINTENANCE)

EVENTS_HELP = (
    "Open Events and start with the largest cause: retry what is mended, ignore what no longer "
    "matters."
)


def dead_letters(look: Look) -> Found:
    """MON-09: events that have run out of tries, whenever that was."""
    count = look.session.scalar(
        select(func.count()).where(ChannelEvent.status == EventStatus.FAILED)
    )
    if not count or count <= look.limits["dead_letters"]:
        return {}
    return {"": Finding(WARNING, f"{count} events have run out of tries", EVENTS_HELP)}


def failed_events(look: Look) -> Found:
    """MON-12: events that gave up within the last hour."""
    count = _failed(look)
    if count <= look.limits["failed_events"]:
        return {}
    return {"": Finding(WARNING, f"{count} events failed within the last hour", EVENTS_HELP)}


def success_rate(look: Look) -> Found:
    """MON-10: of the events that ended within the last hour, how many were dealt with."""
    done = look.session.scalar(
        select(func.count()).where(
            ChannelEvent.received_at > look.now - RECENT,
            ChannelEvent.status == EventStatus.DONE,
            ChannelEvent.processed_at > look.now - HOUR,
        )
    )
    failed = _failed(look)
    ended = (done or 0) + failed
    if ended < look.limits["success_rate_events"]:
        return {}
    if (done or 0) * 100 >= look.limits["success_rate"] * ended:
        return {}
    title = f"{failed} of the {ended} events of the last hour failed"
    help_ = (
        "Look at Channels whether one of them is down, then at Events for the largest cause. What "
        "failed can be retried from there once the cause is gone."
    )
    return {"": Finding(WARNING, title, help_)}


def queue_depth(look: Look) -> Found:
    """MON-13: messages of each direction, and jobs of the queues that carry none."""
    rows = look.session.execute(
        select(ChannelEvent.direction, func.count())
        .where(ChannelEvent.status.in_(WAITING))
        .group_by(ChannelEvent.direction)
    )
    waiting = {row[0]: row[1] for row in rows}
    try:
        jobs = status.queue_depths()
    except RedisError:
        return None  # nothing can be said of the jobs, and nothing is lost: the rows remember
    most = look.limits["queue_depth"]
    help_ = (
        "Check that the workers run. If they do, look at Channels whether one of them is slow; "
        "more workers may be started at any time."
    )
    words = {INBOUND: "messages to take in", OUTBOUND: "messages to send"}
    words |= {queue: f"jobs of the queue {queue}" for queue in JOB_QUEUES}
    depths = {name: waiting.get(name, 0) for name in (INBOUND, OUTBOUND)}
    depths |= {queue: jobs[queue] for queue in JOB_QUEUES}
    return {
        name: Finding(WARNING, f"{depth} {words[name]} are waiting", help_)
        for name, depth in depths.items()
        if depth > most
    }


def _failed(look: Look) -> int:
    """Events that failed for good within the last hour: when their last try ended, or when they
    came if there was none."""
    ended = (
        select(func.max(ChannelEventAttempt.finished_at))
        .where(ChannelEventAttempt.event_id == ChannelEvent.id)
        .correlate(ChannelEvent)
        .scalar_subquery()
    )
    recent: ColumnElement[bool] = func.coalesce(ended, ChannelEvent.received_at) > look.now - HOUR
    return (
        look.session.scalar(
            select(func.count()).where(
                ChannelEvent.status == EventStatus.FAILED,
                ChannelEvent.received_at > look.now - RECENT,
                recent,
            )
        )
        or 0
    )


RULES = (
    Rule("dead_letters", dead_letters),
    Rule("failed_events", failed_events, lambda subject: subject == ""),
    Rule("success_rate", success_rate),
    Rule("queue_depth", queue_depth),
)
