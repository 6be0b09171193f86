"""Why a door did not do what was promised: what of it lay outside the product's power.

An excuse is only what the plan of troubles and the hands on the keypads show. A lock counts as
within reach when it, and the cloud before it, were well for twelve minutes in a row since the PIN
could be sent (orders retry every ten), or, asleep, when a finger woke it in such a time. What is
left over is unexplained, and held against the product.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bench.season.ledger import Stay
from bench.season.premises import LEAD, PRELOAD, Premises
from bench.season.trouble import Spell, Trouble

if TYPE_CHECKING:
    from bench.season.desk import Desk
    from bench.season.timekeeping import SeasonClock

REACH = timedelta(minutes=12)
#: after this long without a message a reconciliation has asked, if the channel answers
ASKED = {"stays": timedelta(minutes=36), "beds24": timedelta(minutes=21)}
#: a sale that its channel did not take is sent again within this time, unless it is night
ANSWERED = timedelta(hours=3)
WORDS = {
    "offline": "its lock was offline",
    "sleeping": "its lock slept, and nobody touched it",
    "full": "its lock had no room for another code",
    "fail": "its lock refused new codes",
    "drop": "its lock lost new codes",
}


class Excuses:
    """Finds the outward cause, or `NONE`."""

    NONE = "unexplained"

    def __init__(self, premises: Premises, trouble: Trouble, clock: SeasonClock) -> None:
        self.premises, self.trouble, self.clock = premises, trouble, clock
        self.touches: dict[str, list[datetime]] = defaultdict(list)
        self.desk: Desk | None = None
        self._sleepers = {room.device_id for room in premises.rooms if room.sleeper}

    def find(self, stay: Stay) -> str:
        """Why the PIN of a stay does not open its door now."""
        now = self.clock.true
        if stay.rival:
            return "the room was sold twice"
        if not self._knows(stay):
            return self._channel(stay, now)
        sendable = self.premises.check_in(stay.arrival) - LEAD - PRELOAD
        known = stay.ready_at + (
            ASKED.get(stay.channel, REACH) if stay.message_lost else REACH / 12
        )
        return self.of_door(stay.door or stay.room.device_id, max(sendable, known))

    def of_ending(self, stay: Stay, door: str, since: datetime, why: str) -> str:
        """Why a PIN that had to go at `since` still opens a door."""
        assert self.desk is not None
        row = self.desk.find(stay)
        told = why in ("left", "no-show")  # the desk itself has said so
        if row is None:
            return self._channel(stay, self.clock.true)
        if why == "cancelled" and row.status != "cancelled":
            return self._channel(stay, self.clock.true)
        if why == "moved" and not self._knows(stay):
            return self._channel(stay, self.clock.true)
        late = stay.message_lost and not told
        return self.of_door(door, since + (ASKED.get(stay.channel, REACH) if late else REACH / 12))

    def of_door(self, door: str, since: datetime) -> str:
        """Why a change ordered at `since` has not reached a lock by now."""
        now = self.clock.true
        at_door = self.trouble.during(door, since, now)
        at_cloud = self.trouble.during("tuya", since, now)
        sleeps = door in self._sleepers or any(spell.kind == "sleeping" for spell in at_door)
        hard = [spell for spell in at_door if spell.kind != "sleeping"]
        if self._in_reach([*hard, *at_cloud], since, now, door if sleeps else None):
            wrong = self.trouble.during("clock", since, now)
            return f"the clock was wrong by {wrong[0].kind}" if wrong else self.NONE
        if hard:
            return WORDS[max(hard, key=lambda spell: min(spell.end, now) - spell.start).kind]
        if sleeps and not any(since <= touch < now for touch in self.touches[door]):
            return WORDS["sleeping"]
        if at_cloud:
            return f"the lock cloud answered wrongly or not at all ({at_cloud[0].kind})"
        if now - since < REACH:
            return "it was asked for less than twelve minutes before"
        return WORDS["sleeping"] if sleeps else self.NONE

    def _in_reach(
        self, spells: list[Spell], since: datetime, now: datetime, sleeper: str | None
    ) -> bool:
        well, free = [], since
        for spell in sorted(spells, key=lambda spell: spell.start):
            if spell.start > free:
                well.append((free, spell.start))
            free = max(free, spell.end)
        if now > free:
            well.append((free, now))
        if sleeper is None:
            return any(end - start >= REACH for start, end in well)
        # The cloud has it after twelve good minutes at the latest; the next touch fetches it.
        sent = next((start + REACH for start, end in well if end - start >= REACH), None)
        return sent is not None and any(
            touch >= sent and any(start <= touch < end for start, end in well)
            for touch in self.touches[sleeper]
            if touch < now - timedelta(seconds=10)
        )

    def _knows(self, stay: Stay) -> bool:
        """Whether the product has the booking as its channel has it."""
        assert self.desk is not None
        row = self.desk.find(stay)
        if row is None:
            return False
        if (row.check_in_on, row.check_out_on) != (stay.arrival, stay.departure):
            return False
        if row.status == "failed":  # sold at the desk, and not taken by its channel
            return False
        return row.accommodation_id == stay.room.id or stay.room.sold.startswith("beds24 without")

    def _channel(self, stay: Stay, now: datetime) -> str:
        if stay.channel == "direct":
            since = max(stay.ready_at, now - ANSWERED)
            if wrong := self.trouble.during("beds24", since, now):
                return f"beds24, which had to take it, did not answer well ({wrong[0].kind})"
        wrong = self.trouble.during(stay.channel, stay.ready_at, now)
        if wrong:
            return f"{stay.channel} answered wrongly or not at all ({wrong[0].kind})"
        asked = ASKED.get(stay.channel, REACH)
        if now - stay.ready_at < asked:
            silent = stay.message_lost or self.trouble.during("webhooks", stay.ready_at, now)
            return "its message was lost" if silent else "its message was late"
        return f"{self.NONE}: the booking is not known as its channel has it"
