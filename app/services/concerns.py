"""What concerns the whole house on Today: open alerts no stay tells of, and bookings gone stale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app.domain.states import NEEDS_PIN, PinState
from app.integrations import channels, locks
from app.models import (
    Accommodation,
    Alert,
    ChannelProperty,
    LockMapping,
    Property,
    User,
    VendorState,
)
from app.models.columns import among
from app.services import alert_places, alert_stays
from app.services.alert_stays import LOCK, AlertStay
from app.services.attention import LATER, Attention, Stay
from app.services.channel_health import ANSWERED

#: a channel that has not answered for less than this may be back before anybody has read of it
PATIENCE: Final = timedelta(minutes=10)
#: bookings are read every half hour; after this they are not fresh any more
UNREAD: Final = timedelta(hours=2)
#: begins the subject of an alert about an account at a channel
ACCOUNT: Final = "account"
#: about events as a whole: no id
EVENTS: Final = ("dead_letters", "failed_events", "success_rate")


@dataclass(frozen=True, slots=True)
class Concern:
    """An open alert, whom it is about if anybody, and the page that helps. `threatens`: guests of
    today may stand in front of a closed door. `keeper`: who is on it, by name or else address."""

    alert: Alert
    place: str
    stay: AlertStay | None = None
    threatens: bool = False
    keeper: str = ""
    kind: str = "concern"

    @property
    def is_grave(self) -> bool:
        return self.alert.severity == "critical"

    @property
    def is_taken(self) -> bool:
        """Somebody is on it."""
        return self.alert.status == "acknowledged"


Worry: TypeAlias = Attention | Concern


@dataclass(frozen=True, slots=True)
class Stale:
    """A channel whose newest bookings may not be here. `silent`: it does not answer since then;
    otherwise it was last read then."""

    channel: str
    since: datetime
    silent: bool


def concerns(
    session: Session,
    houses: Mapping[UUID, Property],
    stays: Sequence[Stay],
    told: Sequence[Attention],
) -> list[Concern]:
    """Open alerts that `told` does not tell of already, of these houses or of none, in at most five
    statements."""
    rows = session.execute(
        select(Alert, User.name)
        .outerjoin(User, User.email == Alert.acknowledged_by)
        .where(Alert.status != "resolved")
        .order_by(Alert.opened_at, Alert.id)
    ).all()
    alerts = [row[0] for row in rows]
    subjects = {alert.subject for alert in alerts}
    people = alert_stays.stays(session, subjects)
    doors = _doors(session, subjects)
    connections = _connections(session, subjects)
    places = alert_places.places(session, {(alert.kind, alert.subject) for alert in alerts})
    seen = {item.stay.reservation.id for item in told}
    seen_locks = {item.stay.pin.lock_id for item in told}
    waiting = any(_waits(stay) for stay in stays)
    found = []
    for alert, keeper in rows:
        stay = people.get(alert.subject)
        noun, key = alert_stays.parts_of(alert.subject) or ("", None)
        if stay is not None and stay.reservation.id in seen:
            continue
        if noun == LOCK and key in seen_locks:
            continue
        house = stay.house.id if stay else doors.get(key) if noun == LOCK else _house(noun, key)
        if house is not None and house not in houses:
            continue
        place = places[alert.kind, alert.subject]
        if alert.kind in EVENTS and not alert.subject:
            place = "/events?status=failed"
        elif noun == ACCOUNT and key in connections:
            place = f"/channels/{connections[key]}"
        threatens = waiting and _opens_no_door(alert)
        keeper = keeper or alert.acknowledged_by or ""
        found.append(Concern(alert, place, stay, threatens, keeper))
    return found


def in_order(told: Sequence[Attention], found: Sequence[Concern]) -> list[Worry]:
    """What keeps today's guests out first, then the arrivals it is about, then the house."""
    fresh = [each for each in found if not each.is_taken]
    urgent = [each for each in fresh if each.threatens]
    grave = [each for each in fresh if each.is_grave and not each.threatens]
    others = [each for each in fresh if not each.is_grave]
    return [
        *urgent,
        *(item for item in told if item.kind not in LATER),
        *grave,
        *(item for item in told if item.kind in LATER),
        *others,
        *(each for each in found if each.is_taken),
    ]


def stale(session: Session, houses: Collection[UUID], now: datetime) -> list[Stale]:
    """The channels of these houses whose bookings are not fresh, in one statement."""
    rows = session.execute(
        select(
            ChannelProperty.channel_name,
            func.max(ChannelProperty.last_sync_at),
            func.max(VendorState.failing_since),
            func.max(VendorState.last_error_kind),
        )
        .outerjoin(VendorState, VendorState.vendor == ChannelProperty.channel_name)
        .where(ChannelProperty.property_id.in_(houses), ChannelProperty.status != "inactive")
        .group_by(ChannelProperty.channel_name)
        .order_by(ChannelProperty.channel_name)
    )
    found = []
    for channel, read_at, failing_since, why in rows:
        quiet = failing_since is not None and failing_since <= now - PATIENCE
        if failing_since is not None and quiet and why not in ANSWERED:
            found.append(Stale(channel, failing_since, silent=True))
        elif read_at is not None and read_at <= now - UNREAD:
            found.append(Stale(channel, read_at, silent=False))
    return found


def signs() -> tuple[ColumnElement[str], ColumnElement[str]]:
    """What changes when concerns do, as columns of a statement that is sent anyway."""
    alert = func.concat(Alert.id, Alert.status, Alert.severity, Alert.title)
    vendor = func.concat(VendorState.vendor, VendorState.failing_since)
    return (
        select(
            func.md5(func.string_agg(alert, aggregate_order_by(literal_column("','"), Alert.id)))
        )
        .where(Alert.status != "resolved")
        .scalar_subquery(),
        select(
            func.string_agg(vendor, aggregate_order_by(literal_column("','"), VendorState.vendor))
        )
        .where(VendorState.failing_since.is_not(None))
        .scalar_subquery(),
    )


def _waits(stay: Stay) -> bool:
    """Somebody arrives today whose PIN is not on the lock yet."""
    needs = stay.is_expected and stay.reservation.status in NEEDS_PIN
    return needs and stay.pin.state != PinState.ACTIVE


def _opens_no_door(alert: Alert) -> bool:
    """Without what the alert is about, no PIN reaches any lock."""
    if alert.severity != "critical":
        return False
    if alert.kind == "process_gone":
        return alert.subject.startswith(("worker@", "clock@"))
    if alert.kind in ("channel_unreachable", "vendor_quota"):
        return alert.subject.endswith(tuple(locks.KNOWN))
    return alert.kind == "clock_skew"


def _house(noun: str, key: UUID | None) -> UUID | None:
    """The property of a run ("beds24_rates:<id>"); None for what belongs to none."""
    return key if noun.startswith(tuple(channels.KNOWN)) else None


def _doors(session: Session, subjects: Collection[str]) -> Mapping[UUID | None, UUID]:
    """The properties of the locks among the subjects."""
    ids = _ids(subjects, LOCK)
    if not ids:
        return {}
    rows = session.execute(
        select(LockMapping.lock_id, Accommodation.property_id)
        .join(Accommodation, Accommodation.id == LockMapping.accommodation_id)
        .where(among(LockMapping.lock_id, ids))
    )
    return {row[0]: row[1] for row in rows}


def _connections(session: Session, subjects: Collection[str]) -> Mapping[UUID | None, UUID]:
    """A connection of each account among the subjects."""
    ids = _ids(subjects, ACCOUNT)
    if not ids:
        return {}
    rows = session.execute(
        select(ChannelProperty.account_id, ChannelProperty.id)
        .where(ChannelProperty.account_id.in_(ids))
        .order_by(ChannelProperty.id)
    )
    return {row[0]: row[1] for row in rows}


def _ids(subjects: Collection[str], wanted: str) -> set[UUID]:
    parts = (alert_stays.parts_of(subject) for subject in subjects)
    return {part[1] for part in parts if part is not None and part[0] == wanted}
