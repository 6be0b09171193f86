"""Judges from outside: types digits at the stand-ins' keypads and writes down what opens.

What the product believes of a PIN is not asked; only its digits and its room are, as they are shown
to a guest. Looking whether digits would open wakes nobody and leaves no trace on the lock; a guest
who stands there touches the keypad in earnest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from app.models import Credential, Lock
from app.runtime import pin_vault
from app.sandbox import lock_device
from app.transaction import transaction
from bench.season.excuses import Excuses
from bench.season.ledger import Ledger, Stay
from bench.season.premises import GRACE, LEAD, Premises

if TYPE_CHECKING:
    from app.sandbox.context import Sandbox
    from bench.season.desk import Desk
    from bench.season.timekeeping import SeasonClock

Plan = Callable[[datetime, Callable[[], None]], None]
#: how long after its moment a door is looked at: a sweep, and a little for who was just told
MOMENT, FRESH = timedelta(seconds=60), timedelta(minutes=2)
AGAIN = timedelta(minutes=5)
#: how long a PIN that has to go may stay, while its lock can be reached
GOING = timedelta(minutes=20)
#: a guest tries again while the lock fetches the code that their first touch has woken it for
TRIES, BETWEEN = 4, timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that must not happen, and did."""

    at: datetime
    what: str
    stay: int
    detail: str = ""


class Judge:
    """Looks at doors at the moments that count."""

    def __init__(
        self,
        premises: Premises,
        sandbox: Sandbox,
        ledger: Ledger,
        clock: SeasonClock,
        dice: Random,
        plan: Plan,
        excuses: Excuses,
    ) -> None:
        self.premises, self.sandbox, self.ledger = premises, sandbox, ledger
        self.clock, self.dice, self.plan = clock, dice, plan
        self.excuses = excuses
        self.touches = excuses.touches
        self.desk: Desk | None = None
        self.breaches: list[Breach] = []
        self.counts: Counter[str] = Counter()
        self.causes: dict[str, Counter[str]] = defaultdict(Counter)
        #: digits of guests that must open nothing any more -> (door, since when)
        self._spent: list[tuple[str, str, int]] = []

    def expect(self, stay: Stay) -> None:
        """Look at the door when the PIN has to work."""
        opens = self.premises.check_in(stay.arrival) - LEAD
        turn = stay.turn
        at = max(opens + MOMENT, stay.ready_at + FRESH)
        if at < self.premises.check_out(stay.departure):
            self.plan(at, lambda: self._is_on_time(stay, turn))

    def _is_on_time(self, stay: Stay, turn: int) -> None:
        if turn != stay.turn or stay.over or stay.arrived_at is not None or stay.rival:
            return
        opens = self._opens(stay)
        stay.on_time = opens
        self.counts["PINs looked at"] += 1
        if opens:
            stay.opened_at = self.clock.true
            self.counts["on time"] += 1
            self._only_its_own_door(stay)
        else:
            stay.excuse = self.excuses.find(stay)
            self.causes["not on time"][stay.excuse] += 1
            self.plan(self.clock.true + AGAIN, lambda: self._opens_by_now(stay, turn))

    def _opens_by_now(self, stay: Stay, turn: int) -> None:
        if turn != stay.turn or stay.over or stay.arrived_at is not None:
            return
        if self._opens(stay):
            stay.opened_at = self.clock.true
        else:
            self.plan(self.clock.true + AGAIN, lambda: self._opens_by_now(stay, turn))

    def meet(self, stay: Stay, tried: int = 1) -> None:
        """The guest stands there and types; once more a moment later if it does not open."""
        opened = self._types(stay)
        if opened:
            stay.guest_met = "opened at once" if tried == 1 else "opened after some seconds"
            stay.opened_at = stay.opened_at or self.clock.true
        elif tried < TRIES:
            self.plan(self.clock.true + BETWEEN, lambda: self.meet(stay, tried + 1))
            return
        else:
            stay.guest_met = "stayed shut"
            stay.excuse = self.excuses.find(stay)
            self.causes["stood before a locked door"][stay.excuse] += 1
        self.counts[f"guests: the door {stay.guest_met}"] += 1

    def come_home(self, stay: Stay) -> None:
        """A guest of the house opens their door in the evening."""
        if stay.left_at is not None or stay.arrived_at is None or stay.over:
            return
        opened = self._types(stay)
        self.counts["evenings: the door opened" if opened else "evenings: it stayed shut"] += 1
        if not opened:
            self.causes["shut in the evening"][self.excuses.find(stay)] += 1

    def cancelled(self, stay: Stay) -> None:
        """A PIN that was shown must go soon."""
        self._must_go(stay, self.clock.true, "cancelled")

    def not_come(self, stay: Stay) -> None:
        """Likewise, from the moment the desk has said so."""
        self._must_go(stay, self.clock.true, "no-show")

    def moved(self, stay: Stay) -> None:
        """The channel gives them another room: the door they had is no longer theirs."""
        self._must_go(stay, self.clock.true, "moved")

    def left(self, stay: Stay) -> None:
        """A day later at the latest the PIN is over; the lock itself knows."""
        end = min(self.clock.true, self.premises.check_out(stay.departure)) + GRACE
        self._must_go(stay, self.clock.true, "left", at=max(end, self.clock.true) + MOMENT)

    def _must_go(self, stay: Stay, since: datetime, why: str, at: datetime | None = None) -> None:
        self._ask(stay)
        for door, digits in stay.digits.items():
            self.plan(
                at or since + GOING,
                lambda door=door, digits=digits: self._is_gone(stay, door, digits, since, why),  # type: ignore[misc]
            )

    def _is_gone(self, stay: Stay, door: str, digits: str, since: datetime, why: str) -> None:
        if not stay.over and stay.room.device_id == door:
            return  # moved back again
        self.counts[f"ended PINs looked at: {why}"] += 1
        if not self._would_open(door, digits):
            self.counts[f"ended PINs that were gone: {why}"] += 1
            self._spent.append((door, digits, stay.number))
            return
        excuse = self.excuses.of_ending(stay, door, since, why)
        self.causes["outlived its stay"][f"{why}: {excuse}"] += 1
        if self.excuses.NONE in excuse:
            self._breach("a PIN outlived its stay", stay, why)

    def strangers(self, tries: int = 12) -> None:
        """Digits that must open nothing: any, those of other doors, those of who is gone."""
        locks = [room.device_id for room in self.premises.rooms]
        present = [
            (door, digits)
            for stay in self.ledger.stays[-600:]
            if not stay.over
            for door, digits in stay.digits.items()
        ]
        for _ in range(tries):
            door = self.dice.choice(locks)
            digits = "".join(
                self.dice.choice("123456789") for _ in range(6 + self.dice.randrange(2))
            )
            self._stranger(door, digits, "digits at random")
        for own, digits in self.dice.sample(present, min(tries, len(present))):
            door = self.dice.choice([each for each in locks if each != own])
            self._stranger(door, digits, "another guest's PIN")
        for door, digits, number in self.dice.sample(self._spent, min(tries, len(self._spent))):
            self._stranger(door, digits, f"the PIN of stay {number}, which is over")

    def _stranger(self, door: str, digits: str, who: str) -> None:
        self.counts["strangers who tried"] += 1
        if self._would_open(door, digits) and not self._is_somebodys(door, digits):
            self.counts["strangers who got in"] += 1
            self._breach("a stranger got in", None, who)

    def _is_somebodys(self, door: str, digits: str) -> bool:
        """Whether these digits were, by chance, given to a guest for this door."""
        return any(
            stay.digits.get(door) == digits for stay in self.ledger.stays if not stay.over
        ) or self._given(door, digits)

    def _given(self, door: str, digits: str) -> bool:
        with transaction() as session:
            sealed = session.scalars(
                select(Credential.pin_encrypted)
                .join(Lock, Lock.id == Credential.lock_id)
                .where(Lock.device_id == door, Credential.pin_encrypted.is_not(None))
            ).all()
        return any(pin_vault().open(each or "").reveal() == digits for each in sealed)

    def _only_its_own_door(self, stay: Stay) -> None:
        """The same digits at some other doors, and the last guest's digits at this one."""
        digits = stay.digits[stay.door]
        others = [room.device_id for room in self.premises.rooms if room.device_id != stay.door]
        for door in self.dice.sample(others, min(3, len(others))):
            self._stranger(door, digits, "a guest at another door")
        for before in self.ledger.stays[:-1]:
            old = before.digits.get(stay.door)
            if old is None or before is stay or not before.over or before.left_at is None:
                continue
            end = self.premises.check_out(before.departure)
            if end > self.clock.true or end < self.clock.true - timedelta(days=3):
                continue
            self.counts["last guests who tried"] += 1
            if old != digits and self._would_open(stay.door, old):
                self._breach("the last guest's PIN opened the next guest's door", stay)

    def _opens(self, stay: Stay) -> bool:
        return self._ask(stay) and self._would_open(stay.door, stay.digits[stay.door])

    def _ask(self, stay: Stay) -> bool:
        """What the house's system shows for this booking: the digits, and of which door."""
        assert self.desk is not None
        row = self.desk.find(stay)
        if row is None:
            return False
        found = _shown(row.id)
        if found is None:
            return False
        stay.door, digits = found
        stay.digits[stay.door] = digits
        return True

    def _types(self, stay: Stay) -> bool:
        if not self._ask(stay):
            return False
        with self.sandbox.store.open() as world:
            lock, now = world.locks[stay.door], self.clock.true.timestamp()
            secret = self.sandbox.keys.tuya_access_secret
            self.touches[stay.door].append(self.clock.true)
            return lock_device.try_keypad(world, lock, stay.digits[stay.door], secret, now)

    def _would_open(self, door: str, digits: str) -> bool:
        with self.sandbox.store.open() as world:
            secret, now = self.sandbox.keys.tuya_access_secret, self.clock.true.timestamp()
            return lock_device.would_open(world, world.locks[door], digits, secret, now)

    def _breach(self, what: str, stay: Stay | None, detail: str = "") -> None:
        self.breaches.append(Breach(self.clock.true, what, stay.number if stay else 0, detail))


def _shown(reservation_id: UUID) -> tuple[str, str] | None:
    """The door and the digits of a stay's PIN."""
    with transaction() as session:
        row = session.execute(
            select(Lock.device_id, Credential.pin_encrypted)
            .join(Credential, Credential.lock_id == Lock.id)
            .where(
                Credential.reservation_id == reservation_id,
                Credential.pin_encrypted.is_not(None),
                Credential.state.not_in(("revoking", "revoked")),
            )
            .order_by(Credential.created_at.desc())
            .limit(1)
        ).first()
    if row is None:
        return None
    return row.device_id, pin_vault().open(row.pin_encrypted or "").reveal()
