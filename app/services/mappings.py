"""Which lock opens which accommodation: one to one, every attempt logged (LOCK-03…08, C-19)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import WANTED
from app.errors import Conflict, FieldError, NotFound, ServiceError
from app.models import (
    Accommodation,
    Credential,
    Lock,
    LockMapping,
    MappingValidationLog,
    Reservation,
    User,
)
from app.services import audit, list_args, listing, pin_moves, pin_plan
from app.services.audit import Actor
from app.services.paging import Page
from app.services.pin_moves import Consequences
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A mapping with both its sides."""

    mapping: LockMapping
    accommodation: Accommodation
    lock: Lock


@dataclass(frozen=True, slots=True)
class Mapped:
    """What came of an attempt; `changed` is False when the pair was there already."""

    row: MappingRow
    changed: bool


@dataclass(slots=True)
class _Attempt:
    """One attempt to pair or part, for the log."""

    actor: Actor
    action: str
    accommodation_id: UUID
    lock_id: UUID | None
    result: str = "accepted"


def map_lock(
    accommodation_id: UUID,
    lock_id: UUID,
    *,
    actor: Actor,
    confirm: bool = False,
    replace: bool = True,
    check: Callable[[Accommodation, Lock], None] | None = None,
) -> Mapped:
    """Let this lock open this accommodation, in place of the one it had.

    Raises NotFound; Conflict when the lock serves another accommodation, or, without `confirm`,
    when the change takes live PINs off a door (the guests are named). Without `replace` an
    accommodation keeps the lock it has. `check` may refuse the pair, which is logged as well.
    """
    attempt = _Attempt(actor, "map", accommodation_id, lock_id)
    with _logged(attempt), transaction() as session:
        accommodation, lock = _pair(session, accommodation_id, lock_id)
        current = _mapping_of(session, accommodation_id)
        if current is not None and current.lock_id == lock_id:
            attempt.result = "unchanged"
            _log(session, attempt)
            return Mapped(MappingRow(current, accommodation, lock), changed=False)
        if current is not None and not replace:
            raise Conflict(f"{accommodation.name} has another lock already")
        _refuse_shared(session, lock)
        if check is not None:
            check(accommodation, lock)
        if current is None:
            current = LockMapping(
                accommodation_id=accommodation_id, lock_id=lock_id, created_by=actor.user_id
            )
            session.add(current)
            before = None
        else:
            attempt.action = "remap"
            _refuse_live_pins(session, current, confirm)
            before = {"lock_id": str(current.lock_id)}
            current.lock_id, current.created_by = lock_id, actor.user_id
        session.flush()
        session.refresh(current)
        pin_plan.plan(session, accommodations=[accommodation_id])
        _log(session, attempt)
        after = {"lock_id": str(lock_id)}
        audit.record(session, actor, "map", "accommodation", accommodation_id, before, after)
    return Mapped(MappingRow(current, accommodation, lock), changed=True)


def unmap(
    accommodation_id: UUID, *, actor: Actor, confirm: bool = False, lock_id: UUID | None = None
) -> None:
    """Take the lock away from the accommodation. Raises NotFound, Conflict as `map_lock` does.

    With `lock_id`, only while it is that lock.
    """
    attempt = _Attempt(actor, "unmap", accommodation_id, None)
    with _logged(attempt), transaction() as session:
        _held(session, accommodation_id)
        current = _mapping_of(session, accommodation_id)
        if current is None:
            raise NotFound("this accommodation has no lock")
        if lock_id is not None and current.lock_id != lock_id:
            raise Conflict("this accommodation has another lock by now")
        attempt.lock_id = current.lock_id
        _refuse_live_pins(session, current, confirm)
        session.delete(current)
        session.flush()
        pin_plan.plan(session, accommodations=[accommodation_id])
        _log(session, attempt)
        before = {"lock_id": str(attempt.lock_id)}
        audit.record(session, actor, "unmap", "accommodation", accommodation_id, before)


def preview(accommodation_id: UUID, lock_id: UUID | None) -> Consequences:
    """What mapping this lock, or with None parting, would do to PINs; nothing is changed or logged.

    Raises NotFound, Conflict as `map_lock` and `unmap` do once confirmed.
    """

    def work(session: Session) -> Consequences:
        looked = pin_moves.look(session, [accommodation_id])
        if lock_id is None:
            unmap(accommodation_id, actor=audit.SYSTEM, confirm=True)
        else:
            map_lock(accommodation_id, lock_id, actor=audit.SYSTEM, confirm=True)
        return pin_moves.compare(session, looked)

    return pin_moves.foresee(work)


def search(args: Mapping[str, str]) -> Page[MappingRow]:
    """A page of mappings, newest first; `q` looks at both names."""
    q = list_args.word(args, "q")
    where = []
    if q:
        where = [
            LockMapping.accommodation_id.in_(
                select(Accommodation.id).where(Accommodation.name.icontains(q, autoescape=True))
            )
            | LockMapping.lock_id.in_(
                select(Lock.id).where(Lock.name.icontains(q, autoescape=True))
            )
        ]
    sorts = {"created_at": LockMapping.created_at, "updated_at": LockMapping.updated_at}
    page = listing.fetch(LockMapping, {**args, "q": ""}, sorts=sorts, where=where)
    with transaction() as session:
        units = {
            unit.id: unit
            for unit in session.scalars(
                select(Accommodation).where(
                    Accommodation.id.in_([each.accommodation_id for each in page.items])
                )
            )
        }
        locks = {
            lock.id: lock
            for lock in session.scalars(
                select(Lock).where(Lock.id.in_([each.lock_id for each in page.items]))
            )
        }
    rows = [
        MappingRow(each, units[each.accommodation_id], locks[each.lock_id]) for each in page.items
    ]
    return Page(rows, page.page, page.limit, page.total)


@contextmanager
def _logged(attempt: _Attempt) -> Iterator[None]:
    """Write a refusal down in a transaction of its own: the attempt's is rolled back."""
    try:
        yield
    except ServiceError as error:
        attempt.result = "rejected"
        with transaction() as session:
            _log(session, attempt, error.message)
        raise


def _log(session: Session, attempt: _Attempt, reason: str | None = None) -> None:
    session.add(
        MappingValidationLog(
            action=attempt.action,
            accommodation_id=attempt.accommodation_id,
            lock_id=attempt.lock_id,
            user_id=attempt.actor.user_id,
            result=attempt.result,
            reason=reason,
            created_at=clock.utcnow(),
        )
    )


def _held(session: Session, accommodation_id: UUID) -> Accommodation:
    """The accommodation, locked: two attempts on it come one after the other."""
    found = session.scalar(
        select(Accommodation)
        .where(Accommodation.id == accommodation_id)
        .with_for_update(key_share=True)
    )
    if found is None:
        raise NotFound("no such accommodation")
    return found


def _pair(session: Session, accommodation_id: UUID, lock_id: UUID) -> tuple[Accommodation, Lock]:
    """Both sides, locked in this order everywhere, so that the loser of a race is told (C-19)."""
    accommodation = _held(session, accommodation_id)
    # Not the lock's row: a plan takes the orders on it next, and workers take it after those.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(lock_id), 0))))
    lock = session.get(Lock, lock_id)
    if lock is None:
        raise NotFound("no such lock")
    return accommodation, lock


def _mapping_of(session: Session, accommodation_id: UUID) -> LockMapping | None:
    return session.scalar(
        select(LockMapping).where(LockMapping.accommodation_id == accommodation_id)
    )


def _refuse_shared(session: Session, lock: Lock) -> None:
    """One lock, one door: say whose it is, and who was faster."""
    other = session.execute(
        select(Accommodation.name, User.email)
        .join(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .outerjoin(User, User.id == LockMapping.created_by)
        .where(LockMapping.lock_id == lock.id)
    ).first()
    if other is not None:
        by = f", connected by {other.email}" if other.email else ""
        raise Conflict(
            f"{lock.name} already opens {other.name}{by}: a lock serves one accommodation",
            [FieldError("lockId", f"already opens {other.name}{by}")],
        )


def _refuse_live_pins(session: Session, mapping: LockMapping, confirm: bool) -> None:
    """Stop before guests lose the PIN they were given, unless somebody said that they know."""
    if confirm:
        return
    guests = session.execute(
        select(Reservation.guest_name, Reservation.check_in_on, Reservation.check_out_on)
        .join(Credential, Credential.reservation_id == Reservation.id)
        .where(
            Reservation.accommodation_id == mapping.accommodation_id,
            Credential.lock_id == mapping.lock_id,
            Credential.state.in_(WANTED),
            Credential.expires_at > clock.utcnow(),
        )
        .order_by(Reservation.check_in_at)
    ).all()
    if guests:
        raise Conflict(
            "this change takes PINs off a door; send confirm to go on",
            [
                FieldError(None, f"{guest or 'a guest'}, {arrives} to {leaves}, loses the PIN")
                for guest, arrives, leaves in guests
            ],
        )
