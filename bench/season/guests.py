"""What guests and channels do: book, change, cancel, arrive, come and go, leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from app.sandbox import beds24_bookings, bookings, demo_guests, lock_device
from bench.season.demand import Demand
from bench.season.ledger import Ledger, Stay
from bench.season.premises import ANY, NAMED, STAYS, Premises

if TYPE_CHECKING:
    from app.sandbox.context import Sandbox
    from bench.season.desk import Desk
    from bench.season.judge import Judge
    from bench.season.timekeeping import SeasonClock

Plan = Callable[[datetime, Callable[[], None]], None]
#: of a thousand bookings, so many are sold into a room that is taken
SOLD_TWICE = 0.002


class Guests:
    """Acts for everybody outside the house; the desk inside is called when they stand there."""

    def __init__(
        self,
        premises: Premises,
        sandbox: Sandbox,
        ledger: Ledger,
        clock: SeasonClock,
        dice: Random,
        plan: Plan,
        desk: Desk,
        judge: Judge,
    ) -> None:
        self.premises, self.sandbox, self.ledger = premises, sandbox, ledger
        self.clock, self.dice, self.plan = clock, dice, plan
        self.desk, self.judge = desk, judge
        self.counts: Counter[str] = Counter()
        self.running = False  # before the season there is no desk to book at
        self.booking = True

    def begin(self) -> None:
        """The season begins: who should be in the house arrives, the others are awaited."""
        self.running = True
        today = self.clock.true.astimezone(self.premises.zone).date()
        for stay in self.ledger.stays:
            if stay.cancelled_at is None and stay.departure > today:
                stay.ready_at = self.clock.true
                self._expect(stay)
            else:
                stay.over = True

    def book(self, demand: Demand) -> None:
        """Take a free room, at the desk or through a channel; full is full."""
        if not self.booking or demand.departure <= self.clock.true.date():
            return
        twice = self.running and self.dice.random() < SOLD_TWICE
        sold = self._channels(demand)
        room = self.ledger.find(sold, demand.arrival, demand.departure)
        if twice and sold != [ANY]:
            room = self.dice.choice(self.premises.of(STAYS, NAMED)) if room else None
        if room is None:
            self.ledger.turned_away += 1
            return
        now = self.clock.true
        rival = not self.ledger.free(room, demand.arrival, demand.departure)
        stay = Stay(
            number=len(self.ledger.stays) + 1,
            demand=demand,
            room=room,
            channel="stays" if room.sold == STAYS else "beds24",
            ref="",
            arrival=demand.arrival,
            departure=demand.departure,
            booked_at=now,
            ready_at=now,
            rival=rival,
        )
        lost = self.sandbox.webhooks.lost  # type: ignore[attr-defined]
        if room.sold == ANY and demand.direct and self.running:
            if not self.desk.sell(stay):
                self.ledger.turned_away += 1
                return
            stay.channel = "direct"
        elif room.sold == STAYS:
            stay.ref = self._book_at_stays(stay)
        else:
            stay.ref = self._book_at_beds24(stay)
        stay.message_lost = self.sandbox.webhooks.lost > lost  # type: ignore[attr-defined]
        self.counts[f"booked: {stay.channel}"] += 1
        self.ledger.add(stay)
        self._foresee(stay)

    def _channels(self, demand: Demand) -> list[str]:
        if demand.direct and self.running and self.premises.of(ANY):
            return [ANY]
        return [STAYS, NAMED, ANY]

    def _book_at_stays(self, stay: Stay) -> str:
        guest = demo_guests.make(f"season:{stay.number}", stay.number)
        return bookings.create(
            self.sandbox,
            {
                "listing": stay.room.stays_id,
                "guest_name": guest.name,
                "guest_email": guest.email,
                "guest_phone": guest.phone,
                "check_in": stay.arrival.isoformat(),
                "check_out": stay.departure.isoformat(),
                "adults": stay.demand.adults,
                "children": stay.demand.children,
                "amount": stay.demand.nightly * stay.demand.nights,
            },
        )

    def _book_at_beds24(self, stay: Stay) -> str:
        first, _, last = demo_guests.make(f"season:{stay.number}", stay.number).name.partition(" ")
        unit = {"unitId": stay.room.beds24_unit} if stay.room.sold == NAMED else {}
        made = beds24_bookings.create(
            self.sandbox,
            {
                "roomId": stay.room.beds24_room,
                "arrival": stay.arrival.isoformat(),
                "departure": stay.departure.isoformat(),
                "status": "confirmed",
                "firstName": first,
                "lastName": last,
                "numAdult": stay.demand.adults,
                "numChild": stay.demand.children,
                "price": stay.demand.nightly * stay.demand.nights,
                **unit,
            },
        )
        return str(made)

    def _foresee(self, stay: Stay) -> None:
        """Plan what this booking's future holds."""
        demand, now = stay.demand, self.clock.true
        if demand.cancelled_at is not None and not stay.rival:
            self.plan(max(demand.cancelled_at, now), lambda: self.cancel(stay))
        last = self.premises.check_in(stay.departure) - timedelta(days=1)
        for _ in range(demand.changes):
            span = (last - now).total_seconds()
            if span > 0:
                at = now + timedelta(seconds=span * self.dice.random() ** 0.5)
                self.plan(at, lambda: self.change(stay))
        if self.running:
            self._expect(stay)

    def _expect(self, stay: Stay) -> None:
        """Plan the arrival and what is looked at before it; again after every change."""
        stay.turn += 1
        turn = stay.turn
        check_in = self.premises.check_in(stay.arrival)
        if stay.arrived_at is None:
            late = self.dice.choice((0.0, 0.0, 0.3, 1.0, 2.0, 3.5, 5.0, 7.0))
            at = check_in + timedelta(hours=late + self.dice.random() * 0.4)
            at = max(at, self.clock.true + timedelta(minutes=self.dice.uniform(20, 90)))
            self.plan(at, lambda: self._arrive(stay, turn))
        self.judge.expect(stay)

    def change(self, stay: Stay) -> None:
        """Other nights, another room of the kind, or another name."""
        if stay.over or stay.cancelled_at is not None or stay.rival:
            return
        what = self.dice.choice(("nights", "nights", "nights", "room", "name"))
        if what == "nights":
            self._change_nights(stay)
        elif what == "room":
            self._change_room(stay)
        else:
            self._tell(stay, {"guest_name": "Maria Nova"}, {"firstName": "Maria"})
            self.counts["changed: name"] += 1

    def _change_nights(self, stay: Stay) -> None:
        arrival, departure = stay.arrival, stay.departure
        day = timedelta(days=1)
        today = self.clock.true.astimezone(self.premises.zone).date()
        if stay.arrived_at is None and arrival > today + day and self.dice.random() < 0.5:
            shift = self.dice.choice((-day, day))
            arrival, departure = max(arrival + shift, today + day), departure + shift
        else:
            departure += self.dice.choice((-day, day, day))
        if departure <= max(arrival, today) or (arrival, departure) == (
            stay.arrival,
            stay.departure,
        ):
            return
        if not self.ledger.free(stay.room, arrival, departure, besides=stay):
            return
        if stay.channel == "direct" and not self.desk.move(stay, arrival, departure):
            return
        stay.arrival, stay.departure = arrival, departure
        days = {"check_in": arrival.isoformat(), "check_out": departure.isoformat()}
        self._tell(stay, days, {"arrival": arrival.isoformat(), "departure": departure.isoformat()})
        self._changed(stay, "nights")

    def _change_room(self, stay: Stay) -> None:
        """The channel moves them, at the latest the evening before."""
        if stay.channel == "direct" or stay.room.sold == ANY or stay.arrived_at is not None:
            return
        rooms = [
            room
            for room in self.premises.of(stay.room.sold)
            if room.kind == stay.room.kind and self.ledger.free(room, stay.arrival, stay.departure)
        ]
        if not rooms:
            return
        if self.running:
            self.judge.moved(stay)
        self.ledger.move(stay, self.dice.choice(rooms))
        self._tell(stay, {"listing": stay.room.stays_id}, {"unitId": stay.room.beds24_unit})
        self._changed(stay, "room")

    def _changed(self, stay: Stay, what: str) -> None:
        self.counts[f"changed: {what}"] += 1
        stay.ready_at = self.clock.true
        stay.on_time = None if stay.arrived_at is None else stay.on_time
        if self.running:
            self._expect(stay)

    def _tell(self, stay: Stay, stays: Mapping[str, object], beds24: Mapping[str, object]) -> None:
        lost = self.sandbox.webhooks.lost  # type: ignore[attr-defined]
        if stay.channel == "stays":
            bookings.change(self.sandbox, stay.ref, stays)
        elif stay.channel == "beds24":
            beds24_bookings.change(self.sandbox, stay.ref, beds24)
        stay.message_lost = self.sandbox.webhooks.lost > lost  # type: ignore[attr-defined]

    def cancel(self, stay: Stay) -> None:
        if stay.over or stay.arrived_at is not None or stay.cancelled_at is not None:
            return
        if stay.channel == "direct" and not self.desk.cancel(stay):
            return
        stay.cancelled_at = stay.ready_at = self.clock.true
        stay.over = True
        self._tell(stay, {"type": "canceled"}, {"status": "cancelled"})
        self.counts["cancelled"] += 1
        if self.running:
            self.judge.cancelled(stay)

    def _arrive(self, stay: Stay, turn: int) -> None:
        if turn != stay.turn or stay.over or not self.running:
            return
        if stay.demand.no_show:
            stay.over = True
            self.counts["not come"] += 1
            at = self.premises.local(stay.arrival + timedelta(days=1), self.dice.uniform(8, 10))
            self.plan(at, lambda: self._not_come(stay))
            return
        stay.arrived_at = self.clock.true
        self.judge.meet(stay)
        if stay.rival or not self.desk.check_in(stay):
            stay.over = True
            stay.refused = "" if stay.rival else self.desk.refusal
            self.counts["sent elsewhere"] += 1
            return
        self.counts["arrived"] += 1
        self._live(stay, stay.arrival)

    def _not_come(self, stay: Stay) -> None:
        if self.desk.no_show(stay):
            self.judge.not_come(stay)

    def _live(self, stay: Stay, day: date) -> None:
        """One evening after the other, until the last morning."""
        if day < stay.departure:
            at = self.premises.local(day, self.dice.uniform(21, 23.5))
            if at > self.clock.true:
                self.plan(at, lambda: self.judge.come_home(stay))
            following = day + timedelta(days=1)
            self.plan(self.premises.local(following, 1), lambda: self._live(stay, following))
            return
        at = self.premises.local(day, 11 - abs(self.dice.gauss(0, 1.2)))
        self.plan(max(at, self.clock.true), lambda: self._leave(stay))

    def _leave(self, stay: Stay) -> None:
        today = self.clock.true.astimezone(self.premises.zone).date()
        if stay.departure > today:  # they have just asked for another night
            self._live(stay, today)
            return
        stay.left_at, stay.over = self.clock.true, True
        self.desk.check_out(stay)
        self.counts["left"] += 1
        self.judge.left(stay)
        door = stay.door or stay.room.device_id
        cleaned = self.clock.true + timedelta(hours=self.dice.uniform(0.3, 2.5))
        self.plan(cleaned, lambda: self.clean(door))

    def clean(self, door: str) -> None:
        """Housekeeping goes in with its own key card; the hand on the handle wakes the lock."""
        with self.sandbox.store.open() as world:
            lock_device.touch(world, world.locks[door], self.clock.true.timestamp())
        self.judge.touches[door].append(self.clock.true)
        self.desk.clean(door)

    def round(self) -> None:
        """Before the first PINs work, housekeeping looks into most rooms that are taken today."""
        today = self.clock.true.astimezone(self.premises.zone).date()
        for stay in self.ledger.stays:
            if stay.arrival != today or stay.over or self.dice.random() < 0.1:
                continue
            door = stay.door or stay.room.device_id
            at = self.premises.local(today, self.dice.uniform(11.2, 12.9))
            if at > self.clock.true:
                self.plan(at, lambda door=door: self.clean(door))  # type: ignore[misc]
