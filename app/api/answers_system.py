"""What the JSON door answers about people, the log, alerts, figures and the system's health."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app.api.answers import Json, Role


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
    way: str
    reason: str
    status: str
    attempts: int
    sent_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None


class Alert(TypedDict):
    id: UUID
    kind: str
    subject: str
    severity: str
    title: str
    what_to_do: str
    status: str
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

    status: str
    depth: NotRequired[int | None]


class ChannelSync(TypedDict):
    status: str
    redis: Connected
    database: Connected
    beds24_api: Reachable
    queues: dict[str, QueueState]


class MetricSummary(TypedDict):
    """How things stand, and how the last hour and the last 24 hours went; null where nothing was
    measured, times in seconds, shares between 0 and 1."""

    generated_at: datetime
