"""Collect what is known about one stay's PIN, and name the cause of its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from app import clock
from app.domain import diagnosis as rules
from app.domain.states import WANTED, CredentialState, PinJobKind, PinJobStatus
from app.domain.stay_windows import room_due
from app.errors import NotFound
from app.models import (
    Accommodation,
    AuditEntry,
    Credential,
    Lock,
    LockMapping,
    PinJob,
    ProcessHeartbeat,
    Property,
    Reservation,
    RoomType,
    User,
    VendorState,
)
from app.models.columns import among
from app.services import pin_views
from app.services.pin_doors import policy_of
from app.services.pin_plan import window_of
from app.transaction import transaction

#: a process not seen for this long is gone
HEARTBEAT = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The diagnosis of one stay, with the rows that a page names beside it."""

    diagnosis: rules.Diagnosis
    facts: rules.Facts
    reservation: Reservation
    house: Property
    accommodation: Accommodation | None
    room_type: RoomType | None
    lock: Lock | None
    pin: pin_views.PinView
    credentials: Sequence[Credential]  # newest first, without digits
    orders: Sequence[PinJob]  # newest first
    history: Sequence[AuditEntry]  # newest first
    seen_by: Sequence[AuditEntry]  # who has shown the PIN, newest first
    people: Mapping[UUID, User]  # who appears in the history
    rival: Reservation | None  # the stay that has the room instead
    channel: VendorState | None

    @property
    def credential(self) -> Credential | None:
        """The credential the diagnosis is about."""
        return _chosen(self.credentials, self.lock)

    @property
    def order(self) -> PinJob | None:
        """The open or newest order to put a PIN on the lock."""
        return _current(self.orders, PinJobKind.GENERATE)


def explain(reservation_id: UUID) -> Explanation:
    """Why there is (no) PIN on the door of a stay; a constant number of statements.

    Raises NotFound.
    """
    now = clock.utcnow()
    with transaction() as session:
        row = session.execute(
            select(Reservation, Property, Accommodation, RoomType, Lock)
            .join(Property, Property.id == Reservation.property_id)
            .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
            .outerjoin(RoomType, RoomType.id == Reservation.room_type_id)
            .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
            .outerjoin(Lock, Lock.id == LockMapping.lock_id)
            .where(Reservation.id == reservation_id)
        ).first()
        if row is None:
            raise NotFound("No such reservation.")
        reservation, house, accommodation, room_type, lock = row
        credentials = session.scalars(
            select(Credential)
            .options(defer(Credential.pin_encrypted), defer(Credential.pin_fingerprint))
            .where(Credential.reservation_id == reservation_id)
            .order_by(Credential.created_at.desc())
        ).all()
        orders = session.scalars(
            select(PinJob)
            .where(PinJob.reservation_id == reservation_id)
            .order_by(PinJob.created_at.desc())
        ).all()
        audit = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.entity == "reservation", AuditEntry.entity_id == str(reservation_id))
            .order_by(AuditEntry.at.desc())
            .limit(200)
        ).all()
        order = _current(orders, PinJobKind.GENERATE)
        rival = None
        if order is not None and order.last_error_kind == "double_booked":
            rival = _rival(session, reservation)
        credential = _chosen(credentials, lock)
        vendors = {state.vendor: state for state in session.scalars(select(VendorState))}
        facts = rules.Facts(
            status=reservation.status,
            unknown_status=reservation.unknown_status,
            received_at=reservation.created_at,
            check_in_at=reservation.check_in_at,
            check_out_at=reservation.check_out_at,
            room=accommodation.name if accommodation else None,
            room_active=accommodation.is_active if accommodation else True,
            room_at=_room_at(reservation, house),
            lock=_lock_facts(lock),
            credential=_credential_facts(credential),
            order=_order_facts(order),
            removal=_order_facts(_current(orders, PinJobKind.REVOKE)),
            vendor=_vendor_facts(vendors.get(lock.vendor) if lock else None),
            workers_alive=_workers_alive(session, now),
            **_neighbours(session, reservation.property_id, lock),
        )
        pin = pin_views.views(session, [reservation_id])[reservation_id]
        actors = {entry.actor_id for entry in audit if entry.actor_id is not None}
        people = {
            user.id: user for user in (session.scalars(select(User).where(among(User.id, actors))))
        }
    return Explanation(
        diagnosis=rules.diagnose(facts, now),
        facts=facts,
        reservation=reservation,
        house=house,
        accommodation=accommodation,
        room_type=room_type,
        lock=lock,
        pin=pin,
        credentials=credentials,
        orders=orders,
        history=audit,
        seen_by=[entry for entry in audit if entry.action == "reveal"],
        people=people,
        rival=rival,
        channel=vendors.get(reservation.source),
    )


def _room_at(reservation: Reservation, house: Property) -> datetime | None:
    """When a stay without a room gets one; None when nobody knows what kind it needs."""
    if reservation.accommodation_id is not None or reservation.room_type_id is None:
        return None
    return room_due(reservation.check_in_at, policy_of(house))


def _rival(session: Session, reservation: Reservation) -> Reservation | None:
    window = window_of(session, reservation)
    if window is None or window.rival is None:
        return None
    return session.get(Reservation, window.rival)


def _chosen(credentials: Sequence[Credential], lock: Lock | None) -> Credential | None:
    """The credential that speaks for the stay, by the rule of `pin_views`."""
    wanted = [c for c in credentials if c.state in WANTED]
    here = [c for c in wanted if lock is not None and c.lock_id == lock.id]
    live = [c for c in credentials if c.state != CredentialState.REVOKED]
    for group in (here, wanted, live, list(credentials)):
        if group:
            return group[0]
    return None


def _current(orders: Sequence[PinJob], kind: PinJobKind) -> PinJob | None:
    mine = [order for order in orders if order.kind == kind]
    closed = (PinJobStatus.DONE, PinJobStatus.CANCELLED)
    return next((o for o in mine if o.status not in closed), mine[0] if mine else None)


def _lock_facts(lock: Lock | None) -> rules.LockFacts | None:
    if lock is None:
        return None
    return rules.LockFacts(lock.name, lock.radio, lock.online, lock.silent_since, lock.pin_length)


def _credential_facts(credential: Credential | None) -> rules.CredentialFacts | None:
    if credential is None:
        return None
    differs = (credential.sent_from, credential.sent_until) != (
        credential.valid_from,
        credential.expires_at,
    )
    return rules.CredentialFacts(
        state=credential.state,
        created_at=credential.created_at,
        accepted_at=credential.accepted_at,
        installed_at=credential.installed_at,
        sent_window_differs=differs,
        expires_at=credential.expires_at,
        error_kind=credential.last_error_kind,
        detail=credential.vendor_detail,
        revoke_reason=credential.revoke_reason,
        revoke_requested_at=credential.revoke_requested_at,
        revoked_at=credential.revoked_at,
    )


def _order_facts(order: PinJob | None) -> rules.OrderFacts | None:
    if order is None:
        return None
    return rules.OrderFacts(
        order.status,
        order.run_at,
        order.attempts,
        order.next_attempt_at,
        order.last_error_kind,
        changed_at=order.updated_at,
    )


def _vendor_facts(state: VendorState | None) -> rules.VendorFacts:
    if state is None:
        return rules.VendorFacts()
    return rules.VendorFacts(state.failing_since, state.last_error_kind, state.paused_until)


def _workers_alive(session: Session, now: datetime) -> bool:
    """Whether a worker was seen lately. When none ever was, nothing is known and nobody blamed."""
    seen = session.scalar(
        select(func.max(ProcessHeartbeat.seen_at)).where(ProcessHeartbeat.kind == "worker")
    )
    return seen is None or seen > now - HEARTBEAT


def _neighbours(session: Session, property_id: UUID, lock: Lock | None) -> dict[str, int]:
    """How many other locks the house has, and how many of them are silent too."""
    if lock is None:
        return {"other_locks": 0, "other_locks_silent": 0}
    total, silent = session.execute(
        select(func.count(), func.count(Lock.silent_since))
        .select_from(Lock)
        .join(LockMapping, LockMapping.lock_id == Lock.id)
        .join(Accommodation, Accommodation.id == LockMapping.accommodation_id)
        .where(Accommodation.property_id == property_id, Lock.id != lock.id)
    ).one()
    return {"other_locks": total, "other_locks_silent": silent}
