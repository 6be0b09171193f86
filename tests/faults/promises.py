"""The promises of issue 9, checked from outside: keypads, channels, API and commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from app.config import ROOT
from app.sandbox import control
from tests.faults.desk import Desk, within
from tests.faults.guests import Ledger
from tests.local.product import Run, engine_url

#: after the last fall: 60 s until a dead process's work is taken up, and the retries of PINs
SETTLED = 200
#: a lease, the sweep that finds it lapsed, and a machine with other work
TAKEN_UP = timedelta(seconds=120)
FINAL = ("done", "ignored", "failed")


class Promises:
    """Each method is a sentence of the issue; it raises AssertionError when it is broken."""

    def __init__(self, run: Run, desk: Desk, ledger: Ledger) -> None:
        self._run, self._desk, self._ledger = run, desk, ledger

    def every_guest_opens_the_own_door_and_no_other(self) -> None:
        desk, here = self._desk, self._ledger.here
        for guest in sorted(here):
            assert within(SETTLED, lambda g=guest: self._is_home(g)), desk.stay(guest)
        digits = {guest: self._reveal(guest) for guest in sorted(here)}
        for guest, (_, room) in here.items():
            assert within(60, lambda r=room, g=guest: desk.opens(r, digits[g])), guest
            others = [other for _, other in here.values() if other is not room]
            assert not any(desk.opens(other, digits[guest]) for other in others), guest
        for room in {room for _, room in here.values()}:
            assert within(SETTLED, lambda r=room: len(desk.on_lock(r)) == 1), desk.on_lock(room)

        # No PIN outlives its window: whoever left, moved, was cancelled or got another.
        # A room that stays empty is its last guest's until the grace is over (INTERFACES §2).
        inhabited = {room.device: digits[guest] for guest, (_, room) in here.items()}
        for guest, room, old in self._ledger.gone:
            if room.device not in inhabited and guest in self._ledger.left:
                continue
            if inhabited.get(room.device) != old:
                assert within(SETTLED, lambda r=room, d=old: not desk.opens(r, d)), guest

    def each_booking_stands_once_at_each_side(self) -> None:
        assert within(SETTLED, lambda: not self._unsettled(), every=2), self._unsettled()
        rows = self._stays()
        once = Counter((row["source"], row["external_id"]) for row in rows if row["external_id"])
        assert max(once.values()) == 1, once.most_common(3)
        names = Counter(row["guest_name"] for row in rows if " Number" in row["guest_name"])
        assert max(names.values()) == 1, names.most_common(3)

    def every_event_is_final_or_due(self) -> None:
        assert within(SETTLED, lambda: not self._stuck_events(), every=2), self._stuck_events()

    def rooms_equal_bookings(self) -> None:
        assert within(SETTLED, lambda: not self._wrong_rooms(), every=2), self._wrong_rooms()

    def rows_hold_together_and_locks_hold_what_rows_say(self) -> None:
        assert within(SETTLED, lambda: not self._broken(), every=5), self._broken()
        assert within(SETTLED, lambda: not self._strange(), every=5), self._strange()

    def the_audit_is_complete(self) -> None:
        """A row for everything the desk was told has been done, and none for what nobody asked."""
        ledger = self._ledger
        for (id_, act), asked in ledger.asked.items():
            rows = self._audited(id_, act)
            told = ledger.told[id_, act]
            assert told <= rows <= asked, (id_, act, told, rows, asked)
        once = [
            *((id_, "create") for id_, _ in ledger.sold.values()),
            *((id_, "create") for id_ in ledger.unsold.values()),
            *((id_, "cancel") for id_ in ledger.unsold.values()),
            *((id_, "check_in") for id_ in (*ledger.checked_in.values(), *ledger.left.values())),
            *((id_, "check_out") for id_ in ledger.left.values()),
        ]
        for id_, act in once:
            assert self._audited(id_, act) == 1, (id_, act)

    def _is_home(self, guest: str) -> bool:
        """Whether the PIN is active, and at the room that the guest was told last."""
        try:
            stay = self._desk.stay(guest)
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        if stay is None or stay["accommodation"] is None or stay["pin"]["state"] != "active":
            return False
        return bool(stay["accommodation"]["name"] == self._ledger.here[guest][1].unit.name)

    def _reveal(self, guest: str) -> str:
        stay = self._desk.stay(guest)
        assert stay is not None
        self._ledger.asked[stay["id"], "reveal"] += 1
        digits = self._desk.reveal(guest)
        self._ledger.told[stay["id"], "reveal"] += 1
        return digits

    def _audited(self, id_: str, act: str) -> int:
        rows = self._answer("/audit", entity="reservation", entity_id=id_, action=act)
        return int(rows["pagination"]["total"])

    def _answer(self, path: str, **params: Any) -> dict[str, Any]:
        """What the API says, once it is there again."""
        found: dict[str, Any] = {}

        def ask() -> bool:
            try:
                answer = self._desk.api.get(path, params=params)
            except httpx.HTTPError:
                return False
            if answer.status_code == 200:
                found.update(answer.json())
            return answer.status_code == 200

        assert within(60, ask), path
        return found

    def _all(self, path: str, name: str, **params: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page = 1
        while True:
            found = self._answer(path, limit=200, page=page, **params)
            rows += found[name]
            if page >= found["pagination"]["totalPages"]:
                return rows
            page += 1

    def _stays(self) -> list[dict[str, Any]]:
        return self._all("/reservations", "reservations")

    def _unsettled(self) -> list[str]:
        """What one side has otherwise than the other."""
        ledger = self._ledger
        ours = self._stays()
        rows = {row["external_id"]: row for row in ours if row["external_id"]}
        by_id = {row["id"]: row for row in ours}
        stays = {row["id"]: row for row in control.list_bookings(base=self._desk.sandbox)}
        ota = control.list_beds24_bookings(base=self._desk.sandbox)
        there: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for each in ota:
            there[f"{each['firstName']} {each['lastName']}"].append(each)

        wrong = [
            f"{id_} is missing here" for id_ in (*ledger.booked, *ledger.ota) if id_ not in rows
        ]
        for id_ in ledger.booked & rows.keys():
            expected = "cancelled" if id_ in ledger.cancelled else None
            if id_ in ledger.departed:
                expected = "checked_out"
            if (rows[id_]["status"] == "cancelled") != (expected == "cancelled"):
                wrong.append(f"{id_} is {rows[id_]['status']} here")
            if expected is None and rows[id_]["check_out"] != stays[id_]["check_out"]:
                wrong.append(f"{id_} ends {rows[id_]['check_out']} here")
        for id_ in ledger.ota & rows.keys():
            if (rows[id_]["status"] == "cancelled") != (id_ in ledger.withdrawn):
                wrong.append(f"{id_} is {rows[id_]['status']} here")
        for guest, (id_, last) in ledger.sold.items():
            row, copies = by_id[id_], there[guest]
            if (row["status"], row["check_out"]) != ("confirmed", last.isoformat()):
                wrong.append(f"{guest} is {row['status']} until {row['check_out']} here")
            if [copy["departure"] for copy in copies] != [last.isoformat()]:
                wrong.append(f"{guest} stands at Beds24 {[c['departure'] for c in copies]}")
        for guest, id_ in ledger.unsold.items():
            left = [c for c in there[guest] if c["status"] != "cancelled"]
            if by_id[id_]["status"] != "cancelled" or left:
                wrong.append(f"{guest} is {by_id[id_]['status']}, at Beds24 {len(left)} times")
        return wrong

    def _stuck_events(self) -> list[str]:
        now = datetime.now(UTC)
        stuck = []
        for event in self._all("/events", "events"):
            if event["status"] in FINAL:
                continue
            due = event["next_attempt_at"] or event["updated_at"]
            if event["status"] == "retrying" and event["next_attempt_at"] is None:
                stuck.append(f"{event['id']} has no next try")
            elif datetime.fromisoformat(due) < now - TAKEN_UP:
                stuck.append(f"{event['id']} is {event['status']} since {due}")
        return stuck

    def _wrong_rooms(self) -> list[str]:
        """Rooms whose status is not what their stays of now say."""
        now = datetime.now(UTC)
        inside: set[str] = set()
        expected: set[str] = set()
        for row in self._stays():
            if row["accommodation"] is None:
                continue
            room = row["accommodation"]["id"]
            if row["status"] == "checked_in":
                inside.add(room)
            elif row["status"] in ("confirmed", "pending", "pending_sync"):
                begin, end = (
                    datetime.fromisoformat(row[name]) for name in ("check_in_at", "check_out_at")
                )
                if begin <= now < end - timedelta(minutes=5):
                    expected.add(room)
        wrong = []
        for room_row in self._all("/rooms", "rooms"):
            id_, status = room_row["id"], room_row["status"]
            if (status == "OCCUPIED") != (id_ in inside):
                wrong.append(f"{room_row['name']} is {status}, guest inside: {id_ in inside}")
            elif id_ in expected - inside and status != "RESERVED":
                wrong.append(f"{room_row['name']} is {status} with a guest on the way")
        return wrong

    def _broken(self) -> str:
        """What `consistency` complains of; empty for nothing."""
        done = operator(self._run, "consistency")
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def _strange(self) -> list[str]:
        """What `pins audit` finds besides the codes that the demo's owners have set by hand."""
        said = operator(self._run, "pins", "audit").stdout.splitlines()
        if not said or "locks read" not in said[-1]:
            return ["the locks could not be read", *said]
        return [line for line in said[:-1] if "is not ours" not in line]


def operator(run: Run, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the operator's, as on the host."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *command],
        cwd=ROOT,
        env=os.environ
        | run.env
        | {
            "DATABASE_URL": engine_url(run, "postgres"),
            "REDIS_URL": engine_url(run, "redis"),
            "SANDBOX": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
