"""Runs of every kind against a Beds24 in memory, as the reconciliation pages find them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.integrations.channels.beds24 import CALENDAR, PROPERTIES, Beds24Client
from app.models import ReconciliationLog
from app.services import channel_accounts, reconciliation, vendors
from tests.beds24 import ROOM, House, make_beds24_house
from tests.beds24_account import Beds24Memory
from tests.calendars import DAY, TODAY, prices
from tests.conftest import Clock
from tests.factories import make_mapping

#: a night that no booking of the scene touches
NIGHT = TODAY + 60 * DAY


class Panel(Beds24Memory):
    """The account with a calendar: nights as Beds24 has them, all else as we have it."""

    def __init__(self) -> None:
        super().__init__()
        self.nights: dict[date, dict[str, Any]] = {}
        self.units = 2
        self.price: float | None = None
        self.currency = "BRL"
        self.down: Exception | None = None

    def read(self, path: str, params: Any) -> dict[str, Any]:
        if self.down is not None:
            raise self.down
        if path == CALENDAR:
            return {"success": True, "data": [{"roomId": int(ROOM), "calendar": self._days()}]}
        if path == PROPERTIES:
            found = {"id": 51001, "name": "Casa", "currency": self.currency}
            return {"success": True, "data": [found]}
        return super().read(path, params)

    def _days(self) -> list[dict[str, Any]]:
        days = []
        for n in range(365):
            day = TODAY + n * DAY
            said = {"numAvail": self.units, "price1": self.price} | self.nights.get(day, {})
            days.append({"from": day.isoformat(), "to": day.isoformat()} | said)
        return days


def connect(monkeypatch: pytest.MonkeyPatch) -> Panel:
    """Every connection speaks to this account."""
    panel = Panel()
    client = Beds24Client(panel)  # type: ignore[arg-type]
    monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: client)
    return panel


def run(kind: str, house: House, **fields: Any) -> ReconciliationLog:
    """A run from its opening to its end."""
    given: dict[str, Any] = {"trigger": "schedule", "property_id": house.home.id} | fields
    run_id = reconciliation.start(kind, **given)
    reconciliation.run(run_id)
    return reconciliation.get(run_id)


def bookings_differ(panel: Panel, clock: Clock) -> House:
    """Four bookings that were taken in, with their PINs, and of which Beds24 says other things by
    now; a fifth that is new."""
    house = make_beds24_house()
    make_mapping(house.rooms[1])
    for id_, first, last, name in (
        (1, "2026-03-20", "2026-03-22", "Rosa"),
        (2, "2026-03-24", "2026-03-27", "Teresa"),
        (3, "2026-03-28", "2026-03-30", "Kenji"),
        (4, "2026-04-02", "2026-04-05", "Annika"),
    ):
        panel.put(id=id_, arrival=first, departure=last, firstName=name, price=1000.0)
    run("beds24_bookings", house)
    clock.move(seconds=60)
    panel.change(1, status="cancelled")
    panel.change(2, price=1030.0)
    panel.change(3, departure="2026-03-31", price=1400.0)
    panel.remove(4)
    panel.put(id=5, arrival="2026-04-10", departure="2026-04-12", firstName="Rebecca", price=500.0)
    return house


def nights_differ(panel: Panel) -> House:
    """Units and prices of the coming year, of which Beds24 has some otherwise."""
    house = make_beds24_house()
    prices(house.kind.id, {TODAY + n * DAY: "1250.00" for n in range(365)}, min_stay=2)
    panel.price = 1250.0
    for n in range(365):
        panel.nights[TODAY + n * DAY] = {"minStay": 2}
    panel.nights[NIGHT] |= {"numAvail": 1, "price1": 1240.0}
    panel.nights[NIGHT + DAY] |= {"numAvail": 1, "price1": 1240.0}
    panel.nights[NIGHT + 5 * DAY] |= {"numAvail": 4, "price1": 990.0, "minStay": 3}
    return house


def dry_run(kind: str, house: House) -> str:
    """The path of a dry run that has ended."""
    row = run(kind, house, trigger="manual", dry_run=True)
    assert row.status == "success", (row.error_kind, row.message)
    return f"/reconciliation/runs/{row.id}"
