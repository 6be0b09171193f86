"""Plain functions that make sensible rows; everything is committed."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher

from app.models import (
    Accommodation,
    Credential,
    Lock,
    LockMapping,
    Property,
    Reservation,
    RoomType,
    User,
)
from app.transaction import transaction

T = TypeVar("T")
PASSWORD = "correct horse battery"
#: names nothing; the same in every test process, which a random one in a test's name is not
NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
_number = itertools.count(1)


def _saved(row: T) -> T:
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def make_property(**fields: Any) -> Property:
    """A house in São Paulo's zone: check-in 15:00, check-out 11:00, lead 2 h, grace 24 h."""
    defaults: dict[str, Any] = {
        "name": f"Pousada {next(_number)}",
        "timezone": "America/Sao_Paulo",
        "currency": "BRL",
        "check_in_time": time(15),
        "check_out_time": time(11),
    }
    return _saved(Property(**(defaults | fields)))


def make_room_type(property_: Property | None = None, **fields: Any) -> RoomType:
    property_ = property_ or make_property()
    defaults = {"property_id": property_.id, "name": f"Suite {next(_number)}", "total_units": 3}
    return _saved(RoomType(**(defaults | fields)))


def make_accommodation(property_: Property | None = None, **fields: Any) -> Accommodation:
    property_ = property_ or make_property()
    n = next(_number)
    defaults = {
        "property_id": property_.id,
        "name": f"Room {n}",
        "number": str(n),
        "stays_id": f"acc-{n}",
    }
    return _saved(Accommodation(**(defaults | fields)))


def make_lock(**fields: Any) -> Lock:
    """A zigbee lock of the fake vendor with 6-digit PINs."""
    n = next(_number)
    defaults = {
        "name": f"Lock {n}",
        "vendor": "fake",
        "device_id": f"device-{n}",
        "radio": "zigbee",
        "pin_length": 6,
    }
    return _saved(Lock(**(defaults | fields)))


def make_mapping(accommodation: Accommodation, lock: Lock | None = None) -> Lock:
    """Connect `lock` (a new one by default) to the accommodation; returns the lock."""
    lock = lock or make_lock()
    _saved(LockMapping(accommodation_id=accommodation.id, lock_id=lock.id))
    return lock


def make_stay(
    accommodation: Accommodation | None = None,
    *,
    check_in: datetime | date | None = None,
    nights: int = 2,
    guest: str = "Ana Souza",
    status: str = "confirmed",
    **fields: Any,
) -> Reservation:
    """A Stays reservation; a date checks in and out at the property's times."""
    accommodation = accommodation or make_accommodation()
    with transaction() as session:
        property_ = session.get_one(Property, accommodation.property_id)
    zone = ZoneInfo(property_.timezone)
    if check_in is None:
        check_in = date(2026, 3, 12)
    if isinstance(check_in, datetime):
        check_in_at = check_in.astimezone(UTC)
        check_out_at = check_in_at + timedelta(days=nights)
    else:
        check_in_at = datetime.combine(check_in, property_.check_in_time, zone).astimezone(UTC)
        leaving = check_in + timedelta(days=nights)
        check_out_at = datetime.combine(leaving, property_.check_out_time, zone).astimezone(UTC)
    check_out_at = fields.pop("check_out", check_out_at)
    n = next(_number)
    defaults: dict[str, Any] = {
        "property_id": accommodation.property_id,
        "accommodation_id": accommodation.id,
        "source": "stays",
        "channel": "stays",
        "external_id": f"res-{n}",
        "status": status,
        "guest_name": guest,
        "check_in_at": check_in_at,
        "check_out_at": check_out_at,
        "check_in_on": check_in_at.astimezone(zone).date(),
        "check_out_on": check_out_at.astimezone(zone).date(),
        "booked_at": check_in_at - timedelta(days=30),
        "search_text": guest.lower(),
    }
    return _saved(Reservation(**(defaults | fields)))


def reload(row: T) -> T:
    """The row as it is in the database now."""
    with transaction() as session:
        return session.get_one(type(row), row.id)  # type: ignore[attr-defined]


def credentials_of(reservation: Reservation) -> list[Credential]:
    """All credentials of a stay, oldest first."""
    with transaction() as session:
        return list(
            session.query(Credential)
            .filter_by(reservation_id=reservation.id)
            .order_by(Credential.created_at, Credential.id)
        )


@lru_cache(maxsize=1)
def _password_hash() -> str:
    return PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)


def make_user(role: str = "staff", **fields: Any) -> User:
    """A user whose password is `PASSWORD`; hashed cheaply, so that tests need not wait."""
    defaults = {
        "email": f"{role}{next(_number)}@example.org",
        "role": role,
        "password_hash": _password_hash(),
    }
    return _saved(User(**(defaults | fields)))
