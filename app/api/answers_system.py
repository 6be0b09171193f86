"""What the JSON door answers about people, the log, alerts, figures and the system's health."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app import models
from app.api.answers import Json, Role
from app.api.narrow import Count, Share, as_stored, one_of
from app.domain.service_targets import Verdict
from app.services import channel_health as health

CHANNEL_WORDS = (health.HEALTHY, health.DEGRADED, health.UNHEALTHY)
QUEUE_WORDS = (health.GOOD, health.WARNING, health.CRITICAL, health.UNKNOWN)


class User(TypedDict):
    id: UUID
    email: str
    name: str | None
    role: Role
    is_active: bool
    invited: bool
    second_factor: bool
    last_login_at: datetime | None
    created_at: datetime
    updated_at: datetime


class InvitationLink(TypedDict):
    """`url` works once."""

    url: str
    expires_at: datetime
    sent: bool


class InvitedUser(User):
    invitation: InvitationLink


class AuditEntry(TypedDict):
    id: UUID
    at: datetime
    actor: str
    action: str
    entity: str
    entity_id: str | None
    before: Json | None
    after: Json | None
    ip: str | None


class AlertNotice(TypedDict):
    way: Annotated[str, as_stored(models.AlertNotice, "way")]
    reason: Annotated[str, as_stored(models.AlertNotice, "reason")]
    status: Annotated[str, as_stored(models.AlertNotice, "status")]
    attempts: Count
    sent_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None


class Alert(TypedDict):
    id: UUID
    kind: Annotated[str, as_stored(models.Alert, "kind")]
    subject: str
    severity: Annotated[str, as_stored(models.Alert, "severity")]
    title: str
    what_to_do: str
    status: Annotated[str, as_stored(models.Alert, "status")]
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    escalated_at: datetime | None
    resolved_at: datetime | None
    path: str | None
    notices: list[AlertNotice]


class AlertTrial(TypedDict):
    way: str
    configured: bool
    ok: bool | None
    error: str | None
    detail: str | None


class AlertTrials(TypedDict):
    ways: list[AlertTrial]


class Alive(TypedDict):
    status: Literal["ok"]


class Ready(TypedDict):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


class Connected(TypedDict):
    connected: bool


class Reachable(TypedDict):
    reachable: bool | None


class QueueState(TypedDict):
    """`depth` is for admins."""

    status: Annotated[str, one_of(QUEUE_WORDS)]
    depth: NotRequired[Count | None]


class ChannelSync(TypedDict):
    status: Annotated[str, one_of(CHANNEL_WORDS)]
    redis: Connected
    database: Connected
    beds24_api: Reachable
    queues: dict[str, QueueState]


class Queues(TypedDict):
    """Events by direction, those that failed (`dlq`), and jobs by the queue they wait in."""

    inbound: Count
    outbound: Count
    dlq: Count
    by_queue: dict[str, float]
    oldest_seconds: dict[str, float]


class Pool(TypedDict):
    size: float | None
    open: float | None
    in_use: float | None


class RedisState(Connected):
    memory_bytes: Count | None
    memory_limit_bytes: Count | None


class Promise(TypedDict):
    target: Share
    share: Share | None
    verdict: Verdict


class PinPromise(Promise):
    on_time: Count
    late: Count
    never: Count


class LeftBehind(TypedDict):
    """PINs that were on a lock past their end."""

    count: Count
    still_open: Count
    target: Literal[0]
    verdict: Verdict


class EventPromise(Promise):
    done: Count
    failed: Count


class OldestEvent(TypedDict):
    seconds: float | None
    target: float
    verdict: Verdict


class RunPromise(Promise):
    due: Count
    on_time: Count


class ServiceLevels(TypedDict):
    days: Count
    pins: PinPromise
    left_behind: LeftBehind
    events: EventPromise
    oldest_event: OldestEvent
    reconciliation: RunPromise


class Times(TypedDict):
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class EventFigures(TypedDict):
    done: Count
    failed: Count
    success_rate: Share | None
    failure_rate: Share | None
    tries: dict[str, Count]
    processing: Times
    delay: Times


class PinFigures(TypedDict):
    due: Count
    on_time: Count
    late: Count
    failed: Count


class VendorFigures(TypedDict):
    calls: Count
    errors: Count
    outcomes: dict[str, Count]
    times: Times


class RunFigures(TypedDict):
    """How many ended in each status that there was."""

    times: Times
    success: NotRequired[Count]
    failed: NotRequired[Count]


class Route(Times):
    route: str
    requests: Count


class PageFigures(TypedDict):
    requests: Count
    by_status: dict[str, Count]
    times: Times
    slowest: list[Route]


class Figures(TypedDict):
    """What happened in a span of time."""

    events: EventFigures
    pins: PinFigures
    vendors: dict[str, VendorFigures]
    limits: dict[str, Count]
    reconciliation: dict[str, RunFigures]
    pages: PageFigures
    database: Times


class MetricSummary(TypedDict):
    """How things stand, and how the last hour and the last 24 hours went; null where nothing was
    measured, times in seconds, shares between 0 and 1."""

    generated_at: datetime
    queues: Queues
    pins: dict[str, float]
    processes: dict[str, float]
    pool: Pool
    redis: RedisState
    service_levels: ServiceLevels
    last_hour: Figures
    last_24h: Figures
