"""Reading everything active at Stays, in each dialect (contracts/stays.md §6, §11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest
import stamina

from app.integrations.channels import ChannelReservation, ItemError, StaysClient, stays_simple
from app.integrations.channels.stays_simple import StaysSimpleClient
from app.integrations.errors import IntegrationError
from tests.integrations.channels.worlds import (
    SINCE,
    TODAY,
    WORLDS,
    Booking,
    ExternalWorld,
    SimpleWorld,
    World,
    answering,
)

LAST = date(2027, 3, 1)
KEY = "65aa0000000000000000c001"


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(params=["stays_simple", "stays_external", "fake"])
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]()


def active(
    client: Any, since: datetime = SINCE
) -> tuple[list[ChannelReservation], list[ItemError]]:
    parts = list(cast(StaysClient, client).active(TODAY, LAST, since=since))
    errors = [error for part in parts for error in part.errors]
    return [copy for part in parts for copy in part.reservations], errors


def test_a_stay_is_read_with_all_that_is_compared(world: World) -> None:
    world.put_unit(Booking.unit, "Room 101")
    world.put(Booking())
    (copy, *again), errors = active(world.client)
    assert set(again) <= {copy}
    assert errors == []
    assert (copy.external_id, copy.accommodation_ref, copy.status) == (
        KEY, Booking.unit, "confirmed"
    )  # fmt: skip
    assert (copy.check_in_on, copy.check_out_on) == (date(2026, 11, 12), date(2026, 11, 15))
    assert (copy.guest_name, copy.amount, copy.currency) == (
        "Marta Example", Decimal("560.1"), "BRL"
    )  # fmt: skip
    if not isinstance(world.client, type(WORLDS["fake"]().client)):
        assert copy.raw == {}


@pytest.mark.parametrize("how", ["down", "ill", "login page", "error object", "refused", "busy"])
def test_a_fault_is_never_an_empty_answer(world: World, how: str) -> None:
    world.put_unit(Booking.unit, "Room 101")
    world.put(Booking())
    world.fail(how)
    with pytest.raises(IntegrationError):
        active(world.client)


def test_the_export_is_read_a_month_at_a_time() -> None:
    """To the last day asked for, beyond the horizon of the other runs."""
    world = ExternalWorld(horizon_days=30)
    world.put_unit(Booking.unit, "Room 101")
    world.put(Booking(key="far", arrival="2027-02-20", departure="2027-02-25"))
    copies, errors = active(world.client)
    assert {copy.external_id for copy in copies} == {"far"}
    assert errors == []
    assert len(world.paths("/external/v1/booking/reservations-export")) == 4
    assert len(world.paths("/external/v1/content/listings")) == 1
    assert world.paths("/external/v1/booking/clients") == []


def test_a_row_of_the_export_that_is_no_stay_is_an_error_of_its_own() -> None:
    world = ExternalWorld()
    world.put(Booking(unit="unit that is not listed"))
    world.put(Booking(key="odd", departure="2026-11-12"))
    copies, errors = active(world.client)
    assert {copy.accommodation_ref for copy in copies} == {"U?"}  # what it does say
    assert {error.external_id for error in errors} == {"odd"}


def test_the_simple_dialect_says_it_in_slices_and_the_newest_of_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stays_simple, "SLICE", 2)
    items = [SimpleWorld.item(replace(Booking(), key=f"S{n}")) for n in range(3)]
    twice = SimpleWorld.item(Booking(key="T"))
    items.insert(0, twice | {"status": "cancelled", "updated_at": "2026-11-10T08:00:00Z"})
    items.append(twice | {"updated_at": "2026-11-09T08:00:00Z"})
    items.append({"id": "odd"})
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params["updated_since"])
        return httpx.Response(200, json={"reservations": items})

    client = StaysSimpleClient(answering(answer, "https://stays.example"))
    parts = list(client.active(TODAY, LAST, since=SINCE))
    assert [[copy.external_id for copy in part.reservations] for part in parts] == [
        ["S0"], ["S1", "S2"], [], ["T"]
    ]  # fmt: skip
    assert parts[-1].reservations[0].status == "cancelled"
    assert [error.external_id for part in parts for error in part.errors] == ["odd"]
    assert sum(part.fetched for part in parts) == 6
    assert seen == ["2026-11-10T09:00:00Z"]
