"""What the JSON door answers, as types: the API's description is made from them (openapi.py).

The serializers write these objects; `tests/api/test_openapi.py` holds real answers against them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app import models
from app.api.narrow import Count, Share, TimeOfDay, as_stored, one_of
from app.domain.name_matching.suggestions import Confidence

Json = dict[str, Any]
Role = Literal["admin", "staff"]


class Named(TypedDict):
    id: UUID
    name: str


class Token(TypedDict):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    role: Role


class Property(Named):
    timezone: str
    currency: str | None
    check_in_time: TimeOfDay
    check_out_time: TimeOfDay
    pin_lead_hours: int | None
    pin_grace_hours: int | None
    pin_preload_hours: int | None
    reserved_horizon_days: int | None
    contingency: Annotated[str, as_stored(models.Property, "contingency")] | None
    contact: str | None
    created_at: datetime
    updated_at: datetime


class MovedGuest(TypedDict):
    reservation_id: UUID
    guest_name: str | None
    accommodation: str
    check_in: date
    check_out: date
    removed: bool


class Consequences(TypedDict):
    """What a change would do to stays and PINs."""

    stays: Count
    planned_moved: Count
    live_moved: Count
    live_removed: Count
    guests: list[MovedGuest]


class OnboardingStep(TypedDict):
    name: str
    done: bool
    missing: list[str]
    count: Count | None


class Onboarding(TypedDict):
    property_id: UUID
    finished: bool
    current: str | None
    steps: list[OnboardingStep]


class RoomType(Named):
    property_id: UUID
    total_units: Count
    created_at: datetime
    updated_at: datetime


class Accommodation(Named):
    property_id: UUID
    room_type_id: UUID | None
    number: str | None
    description: str | None
    stays_id: str | None
    beds24_room_id: str | None
    beds24_unit_id: str | None
    is_active: bool
    status: Annotated[str, as_stored(models.Accommodation, "status")]
    housekeeping: Annotated[str, as_stored(models.Accommodation, "housekeeping")]
    created_at: datetime
    updated_at: datetime


class Lock(Named):
    vendor: Annotated[str, as_stored(models.Lock, "vendor")]
    device_id: str
    radio: Annotated[str, as_stored(models.Lock, "radio")]
    pin_length: int
    hex_case: Annotated[str, as_stored(models.Lock, "hex_case")] | None
    capacity: int | None
    location: str | None
    online: bool | None
    battery: int | None
    low_battery: bool | None
    last_seen_at: datetime | None
    offline_since: datetime | None
    gone_since: datetime | None
    created_at: datetime
    updated_at: datetime


class OverviewAccommodation(Accommodation):
    lock: Named | None


class MappedLock(Named):
    device_id: str


class Mapping(TypedDict):
    """A lock and the accommodation whose door it is on."""

    id: UUID
    accommodationId: UUID
    lockId: UUID
    accommodation: Named
    lock: MappedLock
    createdBy: UUID | None
    createdAt: datetime
    updatedAt: datetime


class Overview(TypedDict):
    accommodations: list[OverviewAccommodation]
    locks: list[Lock]
    mappings: list[Mapping]
    unmappedLocks: list[Lock]


class SyncDetails(TypedDict):
    requestId: UUID
    trigger: Annotated[str, as_stored(models.AccommodationSync, "trigger")]
    startedAt: datetime | None
    completedAt: datetime | None
    duration: Count | None


class AccommodationSync(TypedDict):
    id: UUID
    channel: Annotated[str, as_stored(models.AccommodationSync, "channel")]
    status: Annotated[str, as_stored(models.AccommodationSync, "status")]
    success: bool
    message: str | None
    total: Count
    created: Count
    updated: Count
    inactivated: Count
    returned: Count
    errors: list[Json]
    details: SyncDetails
    created_at: datetime
    updated_at: datetime


class LockRefresh(TypedDict):
    listed: Count
    online: Count
    new: list[UUID]
    gone: list[UUID]
    suspicious: bool


class LockEntry(TypedDict):
    kind: str
    name: str | None
    ref: str | None
    state: str | None
    detail: str | None
    valid_from: datetime | None
    expires_at: datetime | None
    masked: str | None
    credential_id: UUID | None
    reservation_id: UUID | None
    guest_name: str | None


class LockContents(TypedDict):
    lock: Named
    read_at: datetime | None
    entries: list[LockEntry]


class LockTestStep(TypedDict):
    name: str
    state: str
    at: datetime | None


class LockTest(TypedDict):
    id: UUID
    lock_id: UUID
    state: Annotated[str, as_stored(models.LockTest, "state")]
    opened: bool | None
    masked: str | None
    valid_from: datetime
    expires_at: datetime
    last_error: str | None
    steps: list[LockTestStep]
    created_at: datetime
    updated_at: datetime


class LockTests(TypedDict):
    tests: list[LockTest]


class MappingAttempt(TypedDict):
    id: UUID
    action: Annotated[str, as_stored(models.MappingValidationLog, "action")]
    accommodation_id: UUID | None
    accommodation: str | None
    lock_id: UUID | None
    lock: str | None
    user_id: UUID | None
    user: str | None
    result: Annotated[str, as_stored(models.MappingValidationLog, "result")]
    reason: str | None
    created_at: datetime


class Suggestion(TypedDict):
    accommodationId: UUID
    accommodationName: str
    lockId: UUID
    lockName: str
    score: Share
    confidence: Annotated[str, one_of(Confidence)]
    reason: str


class SuggestionFigures(TypedDict):
    accommodationsAnalyzed: Count
    locksAnalyzed: Count
    threshold: Share
    maxSuggestions: Count


class Suggestions(TypedDict):
    suggestions: list[Suggestion]
    count: Count
    metadata: SuggestionFigures
    timestamp: datetime
    message: NotRequired[str]


class AppliedPair(TypedDict):
    accommodationId: UUID
    lockId: UUID
    applied: bool
    reason: str | None


class AppliedPairs(TypedDict):
    results: list[AppliedPair]


class FieldFault(TypedDict):
    field: str | None
    message: str


class ImportedLine(TypedDict):
    line: int
    action: str
    name: str
    errors: list[FieldFault]


class Imported(TypedDict):
    kind: str
    written: bool
    errors: Count
    rows: list[ImportedLine]


class Problem(TypedDict):
    """Whatever goes wrong (RFC 9457); `errors` names the fields that are to blame."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[FieldFault]]
