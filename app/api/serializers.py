"""Rows to JSON: snake_case, times in UTC with Z, amounts as text, PINs masked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from flask import Response, jsonify

from app.domain.pins import mask
from app.domain.states import RunStatus
from app.models import (
    Accommodation,
    AccommodationSync,
    Lock,
    LockTest,
    Property,
    ReconciliationLog,
    RoomType,
)
from app.services import lock_tests
from app.services.accommodations import Overview
from app.services.lock_contents import Contents
from app.services.mapping_log import AttemptRow
from app.services.mappings import MappingRow
from app.services.onboarding import Onboarding
from app.services.paging import Page
from app.services.pin_moves import Consequences
from app.services.pin_views import PinView
from app.services.reservation_lists import ReservationRow

T = TypeVar("T")
Json = dict[str, Any]


def instant(value: datetime | None) -> str | None:
    """2026-03-10T12:00:00Z, with milliseconds only when there are any."""
    if value is None:
        return None
    precision = "milliseconds" if value.microsecond >= 1000 else "seconds"
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def day(value: date | None) -> str | None:
    return value.isoformat() if value is not None else None


def of_day(value: time) -> str:
    return value.strftime("%H:%M")


def money(value: Decimal | None) -> str | None:
    return f"{value:.2f}" if value is not None else None


def listing(noun: str, page: Page[T], item: Callable[[T], Json]) -> Response:
    """A list's answer: the items under the path's noun, and where in the list we are."""
    return jsonify(
        {
            noun: [item(each) for each in page.items],
            "pagination": {
                "page": page.page,
                "limit": page.limit,
                "total": page.total,
                "totalPages": page.total_pages,
            },
        }
    )


def _stamps(row: Any) -> Json:
    return {"created_at": instant(row.created_at), "updated_at": instant(row.updated_at)}


def property_(row: Property) -> Json:
    return {
        "id": str(row.id),
        "name": row.name,
        "timezone": row.timezone,
        "currency": row.currency,
        "check_in_time": of_day(row.check_in_time),
        "check_out_time": of_day(row.check_out_time),
        "pin_lead_hours": row.pin_lead_hours,
        "pin_grace_hours": row.pin_grace_hours,
        "pin_preload_hours": row.pin_preload_hours,
        "reserved_horizon_days": row.reserved_horizon_days,
        "contingency": row.contingency,
        "contact": row.contact,
        **_stamps(row),
    }


def consequences(found: Consequences) -> Json:
    return {
        "stays": found.stays,
        "planned_moved": found.planned_moved,
        "live_moved": found.live_moved,
        "live_removed": found.live_removed,
        "guests": [
            {
                "reservation_id": str(each.reservation_id),
                "guest_name": each.guest,
                "accommodation": each.room,
                "check_in": day(each.check_in_on),
                "check_out": day(each.check_out_on),
                "removed": each.removed,
            }
            for each in found.guests
        ],
    }


def room_type(row: RoomType) -> Json:
    return {
        "id": str(row.id),
        "property_id": str(row.property_id),
        "name": row.name,
        "total_units": row.total_units,
        **_stamps(row),
    }


def accommodation(row: Accommodation) -> Json:
    return {
        "id": str(row.id),
        "property_id": str(row.property_id),
        "room_type_id": _text(row.room_type_id),
        "name": row.name,
        "number": row.number,
        "description": row.description,
        "stays_id": row.stays_id,
        "beds24_room_id": row.beds24_room_id,
        "beds24_unit_id": row.beds24_unit_id,
        "is_active": row.is_active,
        "status": row.status,
        "housekeeping": row.housekeeping,
        **_stamps(row),
    }


def lock(row: Lock) -> Json:
    return {
        "id": str(row.id),
        "name": row.name,
        "vendor": row.vendor,
        "device_id": row.device_id,
        "radio": row.radio,
        "pin_length": row.pin_length,
        "hex_case": row.hex_case,
        "capacity": row.capacity,
        "location": row.location,
        "online": row.online,
        "battery": row.battery,
        "low_battery": row.low_battery,
        "last_seen_at": instant(row.last_seen_at),
        "offline_since": instant(row.offline_since),
        "gone_since": instant(row.gone_since),
        **_stamps(row),
    }


def lock_contents(found: Contents) -> Json:
    return {
        "lock": {"id": str(found.lock.id), "name": found.lock.name},
        "read_at": instant(found.read_at),
        "entries": [
            {
                "kind": str(each.kind),
                "name": each.name,
                "ref": each.ref,
                "state": each.state,
                "detail": each.detail,
                "valid_from": instant(each.valid_from),
                "expires_at": instant(each.expires_at),
                "masked": each.masked,
                "credential_id": _text(each.credential_id),
                "reservation_id": _text(each.reservation_id),
                "guest_name": each.guest,
            }
            for each in found.entries
        ],
    }


def lock_test(test: LockTest) -> Json:
    return {
        "id": str(test.id),
        "lock_id": str(test.lock_id),
        "state": test.state,
        "opened": test.opened,
        "masked": mask(test.pin_last2),
        "valid_from": instant(test.valid_from),
        "expires_at": instant(test.expires_at),
        "last_error": test.last_error,
        "steps": [
            {"name": step.name, "state": step.state, "at": instant(step.at)}
            for step in lock_tests.steps(test)
        ],
        **_stamps(test),
    }


def accommodation_sync(row: AccommodationSync) -> Json:
    """Totals as P2-ACC spells them; `success` only without a single error."""
    started, completed = row.started_at, row.completed_at
    took = int((completed - started).total_seconds() * 1000) if started and completed else None
    return {
        "id": str(row.id),
        "channel": row.channel,
        "status": row.status,
        "success": row.status == RunStatus.SUCCESS and not row.items,
        "message": row.message,
        "total": row.total,
        "created": row.created,
        "updated": row.updated,
        "inactivated": row.inactivated,
        "returned": row.returned,
        "errors": row.items,
        "details": {
            "requestId": str(row.id),
            "trigger": row.trigger,
            "startedAt": instant(started),
            "completedAt": instant(completed),
            "duration": took,
        },
        **_stamps(row),
    }


def onboarding(found: Onboarding) -> Json:
    return {
        "property_id": str(found.house.id),
        "finished": found.finished,
        "current": str(found.current.name) if found.current else None,
        "steps": [
            {
                "name": str(step.name),
                "done": step.done,
                "missing": list(step.missing),
                "count": step.count,
            }
            for step in found.steps
        ],
    }


def mapping_attempt(row: AttemptRow) -> Json:
    entry = row.entry
    return {
        "id": str(entry.id),
        "action": entry.action,
        "accommodation_id": _text(entry.accommodation_id),
        "accommodation": row.accommodation,
        "lock_id": _text(entry.lock_id),
        "lock": row.lock,
        "user_id": _text(entry.user_id),
        "user": row.user,
        "result": entry.result,
        "reason": entry.reason,
        "created_at": instant(entry.created_at),
    }


def mapping(row: MappingRow) -> Json:
    return {
        "id": str(row.mapping.id),
        "accommodationId": str(row.mapping.accommodation_id),
        "lockId": str(row.mapping.lock_id),
        "accommodation": {"id": str(row.accommodation.id), "name": row.accommodation.name},
        "lock": {"id": str(row.lock.id), "name": row.lock.name, "device_id": row.lock.device_id},
        "createdBy": _text(row.mapping.created_by),
        "createdAt": instant(row.mapping.created_at),
        "updatedAt": instant(row.mapping.updated_at),
    }


def overview(found: Overview) -> Json:
    units = {row.id: row for row in found.accommodations}
    locks = {row.id: row for row in found.locks}
    pairs = [
        MappingRow(row, units[row.accommodation_id], locks[row.lock_id]) for row in found.mappings
    ]
    lock_of = {pair.accommodation.id: pair.lock for pair in pairs}

    def unit(row: Accommodation) -> Json:
        device = lock_of.get(row.id)
        named = {"id": str(device.id), "name": device.name} if device else None
        return {**accommodation(row), "lock": named}

    return {
        "accommodations": [unit(row) for row in found.accommodations],
        "locks": [lock(row) for row in found.locks],
        "mappings": [mapping(pair) for pair in pairs],
        "unmappedLocks": [lock(row) for row in found.unmapped_locks],
    }


def pin(view: PinView) -> Json:
    return {
        "state": str(view.state),
        "masked": view.masked,
        "valid_from": instant(view.valid_from),
        "expires_at": instant(view.expires_at),
        "lock_id": _text(view.lock_id),
    }


def reservation(row: ReservationRow) -> Json:
    stay, unit = row.reservation, row.accommodation
    return {
        "id": str(stay.id),
        "source": stay.source,
        "external_id": stay.external_id,
        "status": stay.status,
        "property_id": str(stay.property_id),
        "guest_name": stay.guest_name,
        "guest_email": stay.guest_email,
        "guest_phone": stay.guest_phone,
        "accommodation": {"id": str(unit.id), "name": unit.name} if unit else None,
        "room_type_id": _text(stay.room_type_id),
        "check_in": day(stay.check_in_on),
        "check_out": day(stay.check_out_on),
        "check_in_at": instant(stay.check_in_at),
        "check_out_at": instant(stay.check_out_at),
        "units": stay.units,
        "amount": money(stay.amount),
        "currency": stay.currency,
        "version": stay.version,
        "hold_expires_at": instant(stay.hold_expires_at),
        "sync_error": stay.sync_error,
        "processed_at": instant(stay.processed_at),
        "pin": pin(row.pin),
        "jobs": [
            {
                "kind": str(job.kind),
                "job_id": job.job_id,
                "run_at": instant(job.run_at),
                "status": str(job.status),
                "attempts": job.attempts,
                "last_error": job.last_error,
            }
            for job in row.pin.jobs
        ],
        **_stamps(stay),
    }


def run(row: ReconciliationLog) -> Json:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "property_id": _text(row.property_id),
        "status": row.status,
        "started_at": instant(row.started_at),
        "completed_at": instant(row.completed_at),
        "duration": row.duration,
        "message": row.message,
        "error_kind": row.error_kind,
        "stats": {
            "fetched": row.fetched,
            "created": row.created,
            "updated": row.updated,
            "orphaned": row.orphaned,
            "deleted": row.deleted,
            "flagged": row.flagged,
            "errors": row.errors,
        },
        "trigger": row.trigger,
        "last_run_at": instant(row.last_run_at),
        "since": instant(row.since),
        "attempt": row.attempt,
        "retry_of": _text(row.retry_of),
        "next_attempt_at": instant(row.next_attempt_at),
        "dry_run": row.dry_run,
        "plan_hash": row.plan_hash,
    }


def _text(key: UUID | None) -> str | None:
    return str(key) if key is not None else None
