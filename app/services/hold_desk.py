"""The holds as an admin sees them: what is kept until when, given back or kept longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import false, func, select
from sqlalchemy.orm import Session

from app.domain.states import ReservationStatus as Status
from app.errors import Conflict, InvalidTransition, NotFound
from app.models import InventoryHold, Reservation, RoomType
from app.models.holds import HOLD_STATUSES
from app.services import audit, contention, hold_reaper, holds, list_args, reservation_lists
from app.services.audit import Actor
from app.services.inputs import Input
from app.services.paging import Page, page_args
from app.transaction import transaction

SORTS = {
    "created_at": InventoryHold.created_at,
    "hold_expires_at": InventoryHold.hold_expires_at,
    "check_in": InventoryHold.check_in,
}


class Extension(Input):
    """How much longer."""

    minutes: Annotated[int, Field(ge=1, le=24 * 60)]


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold with the stay it is for; `may_last_until` is the cap."""

    hold: InventoryHold
    reservation: Reservation
    room_type: RoomType | None

    @property
    def is_active(self) -> bool:
        return self.hold.status == holds.ACTIVE


def search(args: Mapping[str, str]) -> Page[HoldRow]:
    """A page of holds, newest first; filters `status,property_id,room_type_id,reservation_id`, the
    nights `from` and `to` (exclusive), and `q` for the guest. Raises Invalid."""
    page, limit = page_args(args)
    sort = list_args.choice(args, "sort", tuple(SORTS)) or "created_at"
    order = list_args.choice(args, "order", ("asc", "desc"))
    conditions = _conditions(args)
    falling = (order or ("desc" if sort == "created_at" else "asc")) == "desc"
    keys = (SORTS[sort], InventoryHold.id)
    joined = (
        select(InventoryHold, Reservation, RoomType)
        .join(Reservation, Reservation.id == InventoryHold.reservation_id)
        .outerjoin(RoomType, RoomType.id == InventoryHold.room_type_id)
        .where(*conditions)
    )
    counted = (
        select(func.count())
        .select_from(InventoryHold)
        .join(Reservation, Reservation.id == InventoryHold.reservation_id)
        .where(*conditions)
    )
    with transaction() as session:
        total = session.scalar(counted) or 0
        rows = session.execute(
            joined.order_by(*(key.desc() if falling else key.asc() for key in keys))
            .limit(limit)
            .offset((page - 1) * limit)
        ).all()
    return Page([HoldRow(*row) for row in rows], page, limit, total)


def get(hold_id: UUID) -> HoldRow:
    """One hold. Raises NotFound."""
    with transaction() as session:
        return _row(session, hold_id)


def release(hold_id: UUID, *, actor: Actor) -> HoldRow:
    """Give the unit back now. The stay that waited for its channel fails with it, and the order to
    deliver it: a booking without a unit must not come through later.

    Raises NotFound; Conflict when it has ended, or while the booking is being sent.
    """
    return contention.patient(lambda: _release(hold_id, actor))


def extend(hold_id: UUID, asked: Extension, *, actor: Actor) -> HoldRow:
    """Keep the unit for some minutes more. Raises NotFound; Conflict when the hold has ended or
    would last beyond the cap (C-28)."""
    with transaction() as session:
        hold = _locked(session, hold_id)
        before = {"hold_expires_at": hold.hold_expires_at.isoformat()}
        until = holds.extend(session, hold, asked.minutes)
        after = {"hold_expires_at": until.isoformat()}
        audit.record(session, actor, "extend", "hold", hold_id, before, after)
        session.refresh(hold)
        return _row(session, hold_id)


def _release(hold_id: UUID, actor: Actor) -> HoldRow:
    with transaction() as session:
        hold = _locked(session, hold_id)
        reservation = session.get_one(Reservation, hold.reservation_id)
        if reservation.status == Status.PENDING_SYNC:
            reason = f"its hold was released by {actor.label}"
            if not hold_reaper.give_up(session, reservation.id, reason, "hold_released"):
                raise Conflict("the booking is being sent right now: try again in a minute")
        hold.status = holds.RELEASED
        session.flush()
        before, after = {"status": holds.ACTIVE}, {"status": holds.RELEASED}
        audit.record(session, actor, "release", "hold", hold_id, before, after)
        session.refresh(hold)
        return _row(session, hold_id)


def _locked(session: Session, hold_id: UUID) -> InventoryHold:
    """An active hold and its stay, locked in the order everybody uses."""
    reservation_id = session.scalar(
        select(InventoryHold.reservation_id).where(InventoryHold.id == hold_id)
    )
    if reservation_id is None:
        raise NotFound("no such hold")
    session.get(
        Reservation, reservation_id, with_for_update={"key_share": True}, populate_existing=True
    )
    hold = session.get_one(InventoryHold, hold_id, with_for_update=True, populate_existing=True)
    if hold.status != holds.ACTIVE:
        raise InvalidTransition(f"the hold is {hold.status} already")
    return hold


def _row(session: Session, hold_id: UUID) -> HoldRow:
    found = session.execute(
        select(InventoryHold, Reservation, RoomType)
        .join(Reservation, Reservation.id == InventoryHold.reservation_id)
        .outerjoin(RoomType, RoomType.id == InventoryHold.room_type_id)
        .where(InventoryHold.id == hold_id)
    ).first()
    if found is None:
        raise NotFound("no such hold")
    return HoldRow(*found)


def _conditions(args: Mapping[str, str]) -> list[Any]:
    found: list[Any] = []
    if statuses := list_args.choices(args, "status", HOLD_STATUSES):
        found.append(InventoryHold.status.in_(statuses))
    if of := list_args.key(args, "property_id"):
        found.append(Reservation.property_id == of)
    if kind := list_args.key(args, "room_type_id"):
        found.append(InventoryHold.room_type_id == kind)
    if stay := list_args.key(args, "reservation_id"):
        found.append(InventoryHold.reservation_id == stay)
    if first := list_args.day(args, "from"):
        found.append(InventoryHold.check_out > first)
    if last := list_args.day(args, "to"):
        found.append(InventoryHold.check_in < last)
    if q := list_args.word(args, "q"):
        query = reservation_lists.search_query(q)
        found.append(
            Reservation.search.op("@@")(func.to_tsquery("simple", query)) if query else false()
        )
    return found
