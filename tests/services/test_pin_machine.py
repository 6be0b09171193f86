"""Anything may happen to stays, rooms, locks, workers and the vendor; the doors stay right.

A random history of what channels, people, clouds and crashes do, against real PostgreSQL and the
fake locks. At every step no two stays have a PIN that is meant to open one lock, and whatever opens
has a live row. Once the faults stop, everything owed is on its lock and nothing else of ours is.

`PIN_MACHINE_EXAMPLES` and `PIN_MACHINE_STEPS` make the histories more and longer.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app import clock as app_clock
from app.domain.states import NEEDS_PIN, OPEN_JOBS, WANTED, CredentialState
from app.errors import Conflict
from app.integrations.errors import (
    ClockSkewed,
    IntegrationError,
    LockBusy,
    LockFull,
    LockOffline,
    NameTaken,
    NotFound,
    NotSupported,
    PinTaken,
    QuotaExhausted,
    RateLimited,
    Rejected,
    StartInPast,
    Unauthorized,
    Unconfirmed,
    Unreachable,
    Unreadable,
)
from app.integrations.locks import LockPinState
from app.integrations.locks.fake import SHARED, FakeLocks
from app.models import Accommodation, Alert, Credential, Lock, LockMapping, PinJob, Reservation
from app.queue import client as queue
from app.runtime import pin_vault
from app.services import credentials, pin_lookup, pin_plan, pin_upkeep, vendors
from app.services.audit import Actor
from app.transaction import transaction
from tests.conftest import Clock, empty_tables
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_stay,
    reload,
)
from tests.services.pin_bench import due_ids

EXAMPLES = int(os.environ.get("PIN_MACHINE_EXAMPLES", "5"))
STEPS = int(os.environ.get("PIN_MACHINE_STEPS", "18"))
EVERY_DAY = "PIN_MACHINE_EXAMPLES" not in os.environ
START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADMIN = Actor("admin@example.org", role="admin")
ROOMS = 2

WRITES = ("create_pin", "change_pin", "delete_pin")
REFUSALS: tuple[Callable[[], IntegrationError], ...] = (
    lambda: Unreachable("down"),
    lambda: RateLimited("slow", retry_after=20),
    lambda: Unauthorized("1004"),
    lambda: Unreadable("html"),
    lambda: NotFound("2010"),
    lambda: Rejected("1109"),
    lambda: ClockSkewed("1013"),
    lambda: LockOffline("2001"),
    lambda: LockBusy("2328", retry_after=60),
    lambda: LockFull("2303"),
    lambda: PinTaken("2322"),
    lambda: NameTaken("2316"),
    lambda: StartInPast("2318"),
    lambda: NotSupported("2004"),
)


#: what may happen while a call is on its way
DEEDS: dict[str, Callable[[Any, int, int], object]] = {
    "cancel": lambda doors, which, _: doors.change(doors.pick(which), status="cancelled"),
    "confirm": lambda doors, which, _: doors.change(doors.pick(which), status="confirmed"),
    "move": lambda doors, which, room: doors.change(
        doors.pick(which), accommodation_id=doors.rooms[room % ROOMS].id
    ),
    "extend": lambda doors, which, hours: doors.change(
        doors.pick(which), check_out_at=doors.pick(which).check_out_at + (hours + 1) * HOUR
    ),
    "reprocess": lambda doors, which, _: doors.ask(credentials.reprocess, which),
    "revoke": lambda doors, which, _: doors.ask(credentials.request_revoke, which),
    "connect": lambda doors, which, lock: doors.connect_rows(
        doors.rooms[which % ROOMS], doors.locks[lock]
    ),
    "others work": lambda doors, which, _: doors.tick(),
    "freeze": lambda doors, which, _: (doors.clock.move(seconds=60), doors.tick()),
}


class Killed(BaseException):
    """What a SIGKILL looks like from inside."""


class Doors(RuleBasedStateMachine):
    """Two rooms, two locks and a spare, and every stay that was ever booked there."""

    app: Flask
    database: str

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        with psycopg.connect(self.database) as connection:
            empty_tables(connection)
        SHARED.reset()
        vendors.forget_clients()
        self.clock = Clock(START)
        app_clock.set_source(self.clock)
        self.stays: list[Reservation] = []
        self.owners: dict[str, tuple[UUID, UUID]] = {}  # digits -> credential, stay
        self.sleeping: set[str] = set()
        self.deeds: dict[str, tuple[str, int, int, bool]] = {}
        for call in (*WRITES, "list_pins", "purge_record"):
            setattr(SHARED, call, functools.partial(self.vendor, call))

    @initialize(preload=st.sampled_from([0, 5]), grace=st.sampled_from([0, 24]))
    def build(self, preload: int, grace: int) -> None:
        house = make_property(pin_preload_hours=preload, pin_grace_hours=grace)
        self.rooms = [make_accommodation(house) for _ in range(ROOMS)]
        self.locks = [make_lock() for _ in range(ROOMS + 1)]
        for room, lock in zip(self.rooms, self.locks, strict=False):
            make_mapping(room, lock)
        for lock in self.locks:
            SHARED.add_lock(lock.device_id, capacity=8)
            SHARED.add_foreign(
                lock.device_id, "owner", "777123", START - HOUR, START + timedelta(days=900)
            )

    def teardown(self) -> None:
        try:
            if hasattr(self, "rooms"):
                self.calm_down()
                self.check_settled()
        finally:
            logging.disable(logging.NOTSET)
            for call in (*WRITES, "list_pins", "purge_record"):
                delattr(SHARED, call)
            app_clock.set_source(None)
            SHARED.reset()

    # --- what channels and people do --------------------------------------------------------

    @rule(room=st.integers(0, ROOMS - 1), begin=st.integers(-3, 30), hours=st.integers(2, 60))
    def book(self, room: int, begin: int, hours: int) -> None:
        check_in = self.clock.now + begin * HOUR
        stay = make_stay(
            self.rooms[room],
            check_in=check_in,
            check_out=check_in + hours * HOUR,
            booked_at=self.clock.now,
        )
        self.plan(stay)
        self.stays.append(stay)
        self.tick()

    @precondition(lambda self: self.stays)
    @rule(which=st.integers(0, 9), begin=st.integers(-30, 30), end=st.integers(-30, 30))
    def shift(self, which: int, begin: int, end: int) -> None:
        stay = self.pick(which)
        check_in = stay.check_in_at + begin * HOUR
        check_out = max(stay.check_out_at + end * HOUR, check_in + HOUR)
        self.change(stay, check_in_at=check_in, check_out_at=check_out)

    @precondition(lambda self: self.stays)
    @rule(which=st.integers(0, 9), room=st.integers(0, ROOMS))
    def move(self, which: int, room: int) -> None:
        target = self.rooms[room].id if room < ROOMS else None
        self.change(self.pick(which), accommodation_id=target)

    @precondition(lambda self: self.stays)
    @rule(
        which=st.integers(0, 9),
        status=st.sampled_from(["cancelled", "confirmed", "checked_in", "no_show"]),
    )
    def say(self, which: int, status: str) -> None:
        self.change(self.pick(which), status=status)

    @precondition(lambda self: self.stays)
    @rule(which=st.integers(0, 9))
    def leave_early(self, which: int) -> None:
        stay = self.pick(which)
        if stay.check_in_at < self.clock.now:
            self.change(stay, status="checked_out", checked_out_at=self.clock.now)

    @rule(room=st.integers(0, ROOMS - 1), lock=st.integers(0, ROOMS))
    def connect(self, room: int, lock: int) -> None:
        """Map the lock to the room, taking it from the other room if need be."""
        self.connect_rows(self.rooms[room], self.locks[lock])
        self.tick()

    @rule(room=st.integers(0, ROOMS - 1))
    def disconnect(self, room: int) -> None:
        self.connect_rows(self.rooms[room], None)
        self.tick()

    @precondition(lambda self: self.stays)
    @rule(which=st.integers(0, 9))
    def reprocess(self, which: int) -> None:
        self.ask(credentials.reprocess, which)
        self.tick()

    @precondition(lambda self: self.stays)
    @rule(which=st.integers(0, 9))
    def revoke(self, which: int) -> None:
        self.ask(credentials.request_revoke, which)
        self.tick()

    @precondition(lambda self: self.stays)
    @rule(which=st.integers(0, 9))
    def delete(self, which: int) -> None:
        stay = self.pick(which)
        with transaction() as session:
            session.delete(session.get_one(Reservation, stay.id))
            session.flush()
            rooms = [stay.accommodation_id] if stay.accommodation_id else []
            pin_plan.plan(session, accommodations=rooms)  # the neighbours may stay longer now
        self.stays = [each for each in self.stays if each.id != stay.id]
        self.tick()

    # --- what vendors, locks and workers do -------------------------------------------------

    @rule(
        call=st.sampled_from([*WRITES, "list_pins", "purge_record"]),
        error=st.sampled_from(REFUSALS),
        times=st.integers(1, 4),
    )
    def refuse(self, call: str, error: Callable[[], IntegrationError], times: int) -> None:
        SHARED.fail_next(call, error(), times=times)

    @rule(call=st.sampled_from(WRITES), executed=st.booleans())
    def lose_answer(self, call: str, executed: bool) -> None:
        SHARED.fail_next(call, Unconfirmed("no answer"), after_execution=executed)

    @rule(call=st.sampled_from([*WRITES, "list_pins", "purge_record"]), executed=st.booleans())
    def kill(self, call: str, executed: bool) -> None:
        SHARED.fail_next(call, Killed(), after_execution=executed)  # type: ignore[arg-type]

    @precondition(lambda self: self.stays)
    @rule(
        call=st.sampled_from([*WRITES, "list_pins", "purge_record"]),
        deed=st.sampled_from(sorted(DEEDS)),
        which=st.integers(0, 9),
        number=st.integers(0, ROOMS),
        executed=st.booleans(),
    )
    def meanwhile(self, call: str, deed: str, which: int, number: int, executed: bool) -> None:
        """Something happens while a worker waits for the vendor's answer to its next such call."""
        self.deeds[call] = (deed, which, number, executed)

    @rule(call=st.sampled_from([*WRITES, "list_pins"]))
    def spend_quota(self, call: str) -> None:
        SHARED.fail_next(call, QuotaExhausted("28841004"))

    @rule(lock=st.integers(0, ROOMS))
    def sleep(self, lock: int) -> None:
        SHARED.sleep(self.locks[lock].device_id)
        self.sleeping.add(self.locks[lock].device_id)

    @rule()
    def wake(self) -> None:
        for device_id in self.sleeping:
            SHARED.wake(device_id)
        self.sleeping.clear()
        self.tick()

    @rule(which=st.integers(0, 20), refuse=st.booleans())
    def lose_code(self, which: int, refuse: bool) -> None:
        """The cloud drops a code, or the lock refuses it."""
        ours = [
            (lock.device_id, entry.name)
            for lock in self.locks
            for entry in SHARED.locks[lock.device_id].entries.values()
            if entry.name != "owner" and entry.state is not LockPinState.GONE
        ]
        if ours:
            device_id, name = ours[which % len(ours)]
            (SHARED.fail_delivery if refuse else SHARED.drop)(device_id, name)

    @rule(minutes=st.sampled_from([1, 5, 15, 60, 180, 720, 1440, 2880]))
    def wait(self, minutes: int) -> None:
        end = self.clock.now + timedelta(minutes=minutes)
        step = timedelta(minutes=max(minutes // 12, 1))
        while self.clock.now < end:
            self.tick()
            self.clock.now = min(self.clock.now + step, end)
        self.tick()

    # --- the worker's part ------------------------------------------------------------------

    def tick(self) -> None:
        """Everything due is done, locks that are awake take what waits, and are read."""
        self.work()
        SHARED.sync()
        self.clock.move(seconds=6)
        self.work()

    def work(self) -> None:
        for _ in range(12):
            self.remember()
            stays, singles, locks = due_ids()
            for stay_id in stays:
                self.survive(credentials.generate, stay_id)
            for credential_id in singles:
                self.survive(credentials.revoke_one, credential_id)
            for lock_id in locks:
                self.survive(credentials.read_lock, lock_id)
            if not stays and not singles and not locks:
                return
        raise AssertionError("work is due again and again without time passing")

    def survive(self, job: Callable[[UUID], None], arg: UUID) -> None:
        with contextlib.suppress(Killed):
            job(arg)

    def calm_down(self) -> None:
        """The faults stop; a quarter of an hour of work, and the pauses of what had failed."""
        SHARED._failures.clear()
        self.deeds.clear()
        for device_id in self.sleeping:
            SHARED.wake(device_id)
        self.sleeping.clear()
        before = Counter(SHARED.calls)
        lost = [c for c in self.rows(Credential) if c.reservation_id is None]
        vanished = [c for c in lost if c.state not in ("revoked", "revoking")]
        assert pin_upkeep.mend(self.clock.now) == len(vanished), "orders or readings were lost"
        for _ in range(64):
            self.tick()
            self.clock.move(seconds=24)
        assert pin_upkeep.mend(self.clock.now) == 0
        spent = SHARED.calls - before
        assert sum(spent.values()) < 400, f"hammering: {spent}"

    # --- what must hold ---------------------------------------------------------------------

    @invariant()
    def one_stay_per_door(self) -> None:
        """At no instant are two stays meant to open one lock; what opens has a live row."""
        if not hasattr(self, "rooms"):
            return
        self.remember()
        rows = self.rows(Credential)
        for lock in self.locks:
            meant: set[UUID | None] = set()
            for credential in rows:
                if credential.lock_id != lock.id or credential.state not in WANTED:
                    continue
                if credential.valid_from <= self.clock.now < credential.expires_at:
                    meant.add(credential.reservation_id)
            assert len(meant - {None}) <= 1, f"{len(meant)} stays share {lock.name}"
            for digits in self.opening(lock):
                owner = self.owners.get(digits)
                assert owner is not None, "an unknown PIN of ours opens"
                live = [c for c in rows if c.id == owner[0]]
                states = [credential.state for credential in live]
                assert states not in ([], ["revoked"]), "a dead row's PIN opens"

    @invariant()
    def everything_live_is_looked_after(self) -> None:
        if not hasattr(self, "rooms"):
            return
        jobs = [j for j in self.rows(PinJob) if j.status in OPEN_JOBS and j.next_attempt_at]
        ordered = {(job.kind, job.credential_id) for job in jobs}
        generating = {job.reservation_id for job in jobs if job.kind == "generate"}
        read = {lock.id for lock in self.rows(Lock) if lock.next_read_at}
        for credential in self.rows(Credential):
            if credential.state == CredentialState.REVOKED:
                continue
            assert ("revoke", credential.id) in ordered, f"{credential.state}: nobody ends it"
            if credential.reservation_id is None:
                continue
            if credential.state == "revoking":
                sent = credential.revoke_sent_at is not None
                assert not sent or credential.lock_id in read, "nobody proves it gone"
            elif credential.state in ("accepted", "pending", "unknown"):
                assert credential.lock_id in read, f"{credential.state}: nobody reads the lock"
            elif credential.state != "installed" and credential.expires_at > self.clock.now:
                stay = next(s for s in self.rows(Reservation) if s.id == credential.reservation_id)
                late = credential.expires_at <= self.clock.now + timedelta(seconds=30)
                if stay.status in NEEDS_PIN and not late:
                    assert credential.reservation_id in generating, f"{credential.state}: no order"

    def check_settled(self) -> None:
        """A quarter of an hour after the last fault."""
        self.one_stay_per_door()
        rows = self.rows(Credential)
        mapped = {m.accommodation_id: m.lock_id for m in self.rows(LockMapping)}
        stopped = self.stopped(rows)
        owed: set[UUID] = set()
        for stay in self.rows(Reservation):
            if stay.status not in NEEDS_PIN or stay.id in stopped:
                continue
            with transaction() as session:
                window = pin_plan.window_of(session, stay)
            lock_id = mapped.get(stay.accommodation_id)
            if window is None or window.rival or lock_id is None:
                continue
            margin = timedelta(minutes=20)
            if not window.send_at + margin < self.clock.now < window.closes_at:
                continue
            mine = [c for c in rows if c.reservation_id == stay.id and c.state in WANTED]
            assert [c.state for c in mine] == ["installed"], (
                [(c.state, c.last_error_kind, c.lock_id == lock_id) for c in mine],
                [(j.kind, j.status, j.next_attempt_at) for j in self.jobs(stay.id)],
            )
            assert mine[0].lock_id == lock_id
            assert (mine[0].valid_from, mine[0].expires_at) == (window.opens_at, window.closes_at)
            owed.add(mine[0].id)
            if window.opens_at + margin < self.clock.now:
                lock = next(each for each in self.locks if each.id == lock_id)
                pin = pin_vault().open(mine[0].pin_encrypted or "").reveal()
                assert SHARED.keypad(lock.device_id, pin), "the guest stands before a closed door"
                subject = f"reservation:{stay.id}"
                open_alerts = {a.subject for a in self.rows(Alert) if a.status != "resolved"}
                assert subject not in open_alerts, "the alarm outlives its cause"
        self.check_nothing_left(rows)

    def check_nothing_left(self, rows: list[Credential]) -> None:
        for lock in self.locks:
            device = SHARED.locks[lock.device_id]
            assert [e.name for e in device.entries.values()].count("owner") == 1
            known = {c.vendor_ref for c in rows if c.lock_id == lock.id and c.state in WANTED}
            for entry in device.entries.values():
                if entry.name == "owner":
                    continue
                assert entry.ref in known, f"left on the lock: {entry.state}, {entry.detail}"
        assert [c.state for c in rows if c.state == CredentialState.REVOKING] == []

    def ask(self, service: Callable[..., str], which: int) -> None:
        with contextlib.suppress(Conflict):
            service(self.pick(which).id, actor=ADMIN)

    def vendor(self, call: str, *args: Any) -> Any:
        """A call to the vendor, during which the world goes on."""
        deed, which, number, executed = self.deeds.pop(call, ("", 0, 0, False))
        if not self.stays:
            deed = ""
        if deed and not executed:
            DEEDS[deed](self, which, number)
        answer = getattr(FakeLocks, call)(SHARED, *args)
        if deed and executed:
            DEEDS[deed](self, which, number)
        return answer

    # --- helpers ----------------------------------------------------------------------------

    def pick(self, which: int) -> Reservation:
        return reload(self.stays[which % len(self.stays)])

    def plan(self, *stays: Reservation, rooms: tuple[UUID, ...] = ()) -> None:
        with transaction() as session:
            pin_plan.plan(session, reservations=[s.id for s in stays], accommodations=rooms)

    def change(self, stay: Reservation, **fields: Any) -> None:
        with transaction() as session:
            row = session.get_one(Reservation, stay.id)
            left = [row.accommodation_id] if row.accommodation_id else []
            for name, value in fields.items():
                setattr(row, name, value)
            session.flush()
            pin_plan.plan(session, reservations=[stay.id], accommodations=left)
        self.tick()

    def connect_rows(self, room: Accommodation, lock: Lock | None) -> None:
        """One step at a time, as the mapping page makes people do it."""
        with transaction() as session:
            for mapping in session.query(LockMapping):
                if mapping.accommodation_id == room.id or (lock and mapping.lock_id == lock.id):
                    home = mapping.accommodation_id
                    session.delete(mapping)
                    session.flush()
                    pin_plan.plan(session, accommodations=[home])
        if lock is None:
            return
        with transaction() as session:
            session.add(LockMapping(accommodation_id=room.id, lock_id=lock.id))
            session.flush()
            pin_plan.plan(session, accommodations=[room.id])

    def remember(self) -> None:
        """Whose digits are whose, while they can be read."""
        for credential in self.rows(Credential):
            if credential.pin_encrypted:
                pin = pin_vault().open(credential.pin_encrypted).reveal()
                self.owners[pin] = (credential.id, credential.reservation_id or UUID(int=0))

    def opening(self, lock: Lock) -> set[str]:
        """The digits of ours that open the door right now."""
        return {
            stored.pin.reveal()
            for ref, stored in SHARED.locks[lock.device_id].memory.items()
            if stored.valid_from <= self.clock.now < stored.expires_at
            and stored.pin.reveal() != "777123"
        }

    def rows(self, model: type[Any]) -> list[Any]:
        with transaction() as session:
            return list(session.query(model))

    def jobs(self, stay_id: UUID) -> list[PinJob]:
        return [job for job in self.rows(PinJob) if job.reservation_id == stay_id]

    def stopped(self, rows: list[Credential]) -> set[UUID | None]:
        newest: dict[UUID | None, Credential] = {}
        for credential in rows:
            known = newest.get(credential.reservation_id)
            if known is None or credential.created_at > known.created_at:
                newest[credential.reservation_id] = credential
        return {stay for stay, last in newest.items() if last.revoke_reason == "manual"}


@pytest.mark.timeout(120 if EVERY_DAY else 0)
def test_whatever_happens_the_doors_stay_right(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin_lookup, "SECOND_LOOK_SECONDS", 0.0)
    # Alarms only hurry: every due row is worked on here, as the sweep would have it.
    monkeypatch.setattr(queue, "place", lambda alarms: None)
    Doors.app, Doors.database = app, database
    run_state_machine_as_test(
        Doors,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=EVERY_DAY,
            print_blob=not EVERY_DAY,
            phases=[Phase.generate, *([Phase.shrink] if EVERY_DAY else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
