"""What the JSON door answers about runs, channels, events and discrepancies, as types."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app import models
from app.api.answers import Json
from app.api.narrow import Count, Name, as_stored


class RunStats(TypedDict):
    fetched: Count
    created: Count
    updated: Count
    orphaned: Count
    deleted: Count
    flagged: Count
    errors: Count


class Run(TypedDict):
    id: UUID
    kind: Annotated[str, as_stored(models.ReconciliationLog, "kind")]
    property_id: UUID | None
    status: Annotated[str, as_stored(models.ReconciliationLog, "status")]
    started_at: datetime | None
    completed_at: datetime | None
    duration: Count | None
    message: str | None
    error_kind: str | None
    stats: RunStats
    trigger: Annotated[str, as_stored(models.ReconciliationLog, "trigger")]
    last_run_at: datetime | None
    since: datetime | None
    attempt: Count
    retry_of: UUID | None
    next_attempt_at: datetime | None
    dry_run: bool
    plan_hash: str | None


class RunWithPlan(Run):
    plan: Any


class StartedRuns(TypedDict):
    runId: UUID
    runIds: list[UUID]


class StartedRun(TypedDict):
    runId: UUID


class LastRunStats(TypedDict):
    fetched: Count
    created: Count
    updated: Count
    orphaned: Count
    deleted: Count
    errors: Count


class LastRun(TypedDict):
    id: UUID
    startedAt: datetime | None
    completedAt: datetime | None
    duration: Count | None
    status: Annotated[str, as_stored(models.ReconciliationLog, "status")]
    message: str | None
    stats: LastRunStats


class RunStatus(TypedDict):
    lastRun: LastRun | None
    nextRun: datetime | None
    currentStatus: str
    schedule: str


class RunStatusAnswer(TypedDict):
    data: RunStatus


class ChannelProperty(TypedDict):
    """A property as one channel knows it; secrets are write-only."""

    id: UUID
    property_id: UUID
    channel_name: Name
    channel_property_id: str
    config: Json | None
    status: Annotated[str, as_stored(models.ChannelProperty, "status")]
    status_reason: str | None
    has_account: bool
    account_origin: Annotated[str, as_stored(models.ChannelAccount, "origin")] | None
    has_webhook_secret: bool
    last_sync_at: datetime | None
    last_webhook_at: datetime | None
    last_outbound_success_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ChannelMapping(TypedDict):
    id: UUID
    channel_property_id: UUID
    mapping_type: Annotated[str, as_stored(models.ChannelMapping, "mapping_type")]
    internal_id: UUID
    external_id: str
    metadata: Json | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class NewChannelMapping(ChannelMapping):
    """With the failed events that waited for this room."""

    waiting_events: list[UUID]


class MappingTrial(TypedDict):
    success: bool
    mappedInternalId: UUID | None
    mappingFound: bool
    warnings: list[str]


class Ratio(TypedDict):
    mapped: Count
    total: Count
    percentage: float


class Completeness(TypedDict):
    rooms: Ratio
    room_types: Ratio
    rates: Ratio


class QueueDepths(TypedDict):
    inbound: Count
    outbound: Count
    dlq: Count


class ChannelFigures(TypedDict):
    channel_name: Name
    last_webhook_at: datetime | None
    last_outbound_success_at: datetime | None
    failed_events_24h: Count
    mapping_completeness: Completeness
    queue_depths: QueueDepths


class ChannelState(ChannelFigures):
    id: UUID | None
    channel_property_id: str | None
    connected: bool
    status: Annotated[str, as_stored(models.ChannelProperty, "status")] | None
    status_reason: str | None
    last_sync_at: datetime | None


class ChannelStatus(ChannelFigures):
    property_id: UUID
    beds24_connected: bool
    channels: list[ChannelState]


class Event(TypedDict):
    id: UUID
    channel_property_id: UUID
    property_id: UUID
    direction: Annotated[str, as_stored(models.ChannelEvent, "direction")]
    source: str
    event_type: str
    entity_type: str | None
    entity_external_id: str | None
    entity_internal_id: UUID | None
    reservation_id: UUID | None
    idempotency_key: str
    status: Annotated[str, as_stored(models.ChannelEvent, "status")]
    attempts: Count
    max_attempts: Count
    last_error: str | None
    last_error_kind: str | None
    next_attempt_at: datetime | None
    received_at: datetime
    processed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class EventAttempt(TypedDict):
    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error_kind: str | None
    error: str | None


class EventWithAttempts(Event):
    """The payloads are there for admins alone."""

    attempts_log: list[EventAttempt]
    payload: NotRequired[Any]
    normalized_payload: NotRequired[Any]


class Skipped(TypedDict):
    id: UUID
    reason: str


class RetriedEvents(TypedDict):
    retried: list[UUID]
    skipped: list[Skipped]


class Discrepancy(TypedDict):
    id: UUID
    property_id: UUID
    channel_property_id: UUID
    kind: Annotated[str, as_stored(models.Discrepancy, "kind")]
    subject: str
    reservation_id: UUID | None
    external_id: str | None
    room_type_id: UUID | None
    first_day: date | None
    last_day: date | None
    status: Annotated[str, as_stored(models.Discrepancy, "status")]
    severity: Annotated[str, as_stored(models.Discrepancy, "severity")]
    reason: str
    ours: Json | None
    theirs: Json | None
    fingerprint: str
    note: str | None
    action: Annotated[str, as_stored(models.Discrepancy, "action")] | None
    opened_at: datetime
    last_seen_at: datetime
    last_run_id: UUID | None
    times_opened: Count
    closed_at: datetime | None
    closed_by: str | None
    created_at: datetime


class DecidedDiscrepancies(TypedDict):
    resolved: list[UUID]
    skipped: list[Skipped]


class Received(TypedDict):
    success: Literal[True]
    eventId: UUID
    duplicate: bool
