"""Read the vendor's list of devices: register what is new, mark what is gone, note the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from app import clock
from app.errors import Unavailable
from app.integrations.errors import IntegrationError
from app.integrations.locks import Device
from app.models import Lock
from app.models.columns import among
from app.queue import client as queue
from app.services import alerts, audit, vendors
from app.services.audit import Actor
from app.services.locks import PIN_LENGTHS
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: a list that nobody has asked for this long, though it is read every ten minutes
LATE = timedelta(minutes=12)
#: the subject of the alert about a list that cannot be true
EMPTY = "devices:{vendor}"
#: door controllers take 6 digits whatever their radio (contracts/tuya.md §6)
SIX_DIGITS = frozenset({"mk"})

_UPSERT = text(
    """
    INSERT INTO locks AS l (vendor, device_id, name, radio, pin_length, category, online, battery,
                            low_battery, last_seen_at, offline_since, refreshed_at)
    SELECT :vendor, d.device_id, d.name, d.radio, d.pin_length, d.category, d.online, d.battery,
           d.low_battery,
           CASE WHEN d.online THEN CAST(:now AS timestamptz) END,
           CASE WHEN NOT d.online THEN CAST(:now AS timestamptz) END,
           CAST(:now AS timestamptz)
    FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:radios AS text[]),
                CAST(:lengths AS int[]), CAST(:categories AS text[]), CAST(:onlines AS bool[]),
                CAST(:batteries AS int[]), CAST(:lows AS bool[]))
         AS d (device_id, name, radio, pin_length, category, online, battery, low_battery)
    ORDER BY d.device_id
    ON CONFLICT (vendor, device_id) DO UPDATE SET
        category = excluded.category,
        online = excluded.online,
        battery = coalesce(excluded.battery, l.battery),
        low_battery = excluded.low_battery,
        last_seen_at = coalesce(excluded.last_seen_at, l.last_seen_at),
        offline_since = CASE
            WHEN NOT excluded.online THEN coalesce(l.offline_since, excluded.offline_since) END,
        gone_since = NULL,
        refreshed_at = excluded.refreshed_at,
        updated_at = CASE
            WHEN l.gone_since IS NULL
                AND (l.online, l.battery, l.low_battery) IS NOT DISTINCT FROM
                    (excluded.online, coalesce(excluded.battery, l.battery), excluded.low_battery)
            THEN l.updated_at ELSE now() END
    RETURNING l.id, (xmax = 0) AS fresh
    """
)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What the list said: how many devices, which are new to us, which are not on it any more."""

    listed: int
    online: int
    new: tuple[UUID, ...] = ()
    gone: tuple[UUID, ...] = ()
    suspicious: bool = False  # an empty list while we know locks: nothing was believed

    def __add__(self, other: Refreshed) -> Refreshed:
        return Refreshed(
            self.listed + other.listed,
            self.online + other.online,
            self.new + other.new,
            self.gone + other.gone,
            self.suspicious or other.suspicious,
        )


def refresh(
    *, actor: Actor = audit.SYSTEM, vendor: str | None = None, register: bool = True
) -> Refreshed:
    """Read the devices of every account that is set up, or of one, and believe them.

    A new one is registered with a guess at its radio, which a person may correct; without
    `register` it waits until somebody asks for it or adds it by hand. One that is gone is marked,
    never deleted. Raises Unavailable when no vendor is set up or one cannot be read, after the
    others were.
    """
    if in_transaction():
        raise RuntimeError("a vendor is never called inside a transaction")
    found, refusal = Refreshed(0, 0), None
    for name in [vendor] if vendor else vendors.lock_vendors():
        try:
            found += _refresh(name, actor, register=register)
        except Unavailable as refused:
            refusal = refused
    if refusal is not None:
        raise refusal
    return found


def _refresh(vendor: str, actor: Actor, *, register: bool) -> Refreshed:
    client = vendors.lock_client(vendor)
    vendors.note_listing(vendor)
    try:
        devices = client.devices()
    except IntegrationError as error:
        vendors.note_error(vendor, error)
        raise Unavailable(f"the list of locks cannot be read right now: {error}") from error
    vendors.note_ok(vendor, clock_offset=client.clock_offset())
    now = clock.utcnow()
    with transaction() as session:
        if not devices and _knows_locks(session, vendor):
            _distrust(session, vendor)
            return Refreshed(0, 0, suspicious=True)
        alerts.resolve(session, "lock_offline", EMPTY.format(vendor=vendor))
        ours = devices if register else _known_of(session, vendor, devices)
        new = _upsert(session, vendor, ours, now)
        gone = _mark_gone(session, vendor, devices, now)
        _record(session, actor, new, gone)
    found = Refreshed(len(devices), sum(device.online for device in devices), new, gone)
    log.info("locks_refreshed", listed=found.listed, new=len(new), gone=len(gone))
    return found


def queue_due(now: datetime) -> int:
    """For the sweep: have the list read right after the start, and when its tick was lost."""
    try:
        accounts = vendors.lock_vendors()
    except Unavailable:
        return 0
    with transaction() as session:
        known = [vendors.state(session, vendor) for vendor in accounts]
    read = [state.devices_read_at if state is not None else None for state in known]
    if all(last is not None and last + LATE > now for last in read):
        return 0
    queue.enqueue("locks.refresh")
    return 1


def radio_guess(device: Device) -> str:
    """A lock behind a gateway is taken for Zigbee, one without for Wi-Fi: nothing tells it (§7)."""
    return "zigbee" if device.gateway_id else "wifi"


def pin_length_guess(device: Device) -> int:
    """How many digits such a lock takes; proven by testing it."""
    return 6 if device.category in SIX_DIGITS else PIN_LENGTHS[radio_guess(device)]


def _knows_locks(session: Session, vendor: str) -> bool:
    known = select(Lock.id).where(Lock.vendor == vendor, Lock.gone_since.is_(None)).limit(1)
    return session.scalar(known) is not None


def _known_of(session: Session, vendor: str, devices: Sequence[Device]) -> Sequence[Device]:
    known = set(session.scalars(select(Lock.device_id).where(Lock.vendor == vendor)))
    return [device for device in devices if device.device_id in known]


def _distrust(session: Session, vendor: str) -> None:
    alerts.raise_alert(
        session,
        "lock_offline",
        EMPTY.format(vendor=vendor),
        "warning",
        "The lock account lists no devices at all",
        "Check in the vendor's console that the locks are still linked to the project. "
        "Until it lists them again, nothing here is changed.",
    )


def _upsert(
    session: Session, vendor: str, devices: Sequence[Device], now: datetime
) -> tuple[UUID, ...]:
    """One statement for all; the ids of the new ones."""
    if not devices:
        return ()
    rows = session.execute(
        _UPSERT,
        {
            "vendor": vendor,
            "now": now,
            "ids": [device.device_id for device in devices],
            "names": [device.name or device.device_id for device in devices],
            "radios": [radio_guess(device) for device in devices],
            "lengths": [pin_length_guess(device) for device in devices],
            "categories": [device.category for device in devices],
            "onlines": [device.online for device in devices],
            "batteries": [device.battery for device in devices],
            "lows": [device.low_battery for device in devices],
        },
    )
    return tuple(row.id for row in rows if row.fresh)


def _mark_gone(
    session: Session, vendor: str, devices: Sequence[Device], now: datetime
) -> tuple[UUID, ...]:
    """Those of ours that the account does not list; the ids of those that it listed until now."""
    gone = session.scalars(
        update(Lock)
        .where(
            Lock.vendor == vendor,
            Lock.gone_since.is_(None),
            ~among(Lock.device_id, [device.device_id for device in devices]),
        )
        .values(gone_since=now, online=False, refreshed_at=now)
        .returning(Lock.id)
        .execution_options(synchronize_session=False)
    ).all()
    return tuple(gone)


def _record(session: Session, actor: Actor, new: Sequence[UUID], gone: Sequence[UUID]) -> None:
    for lock_id in new:
        audit.record(session, actor, "register", "lock", lock_id)
    for lock_id in gone:
        audit.record(session, actor, "mark_gone", "lock", lock_id)
