"""Reservations over JSON: the item's shape, lists, reprocess and revoke (RES-*, C-48, SEC-11)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.domain.pins import Pin
from app.models import AuditEntry, Credential, Reservation
from app.runtime import pin_vault
from app.services import pin_plan
from app.transaction import transaction
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.factories import make_accommodation, make_mapping, make_room_type, make_stay, reload

DIGITS = "8371946"


def planned(stay: Reservation) -> Reservation:
    with transaction() as session:
        pin_plan.plan(session, reservations=[stay.id])
    return stay


def with_pin(stay: Reservation, lock_id: Any, clock: Clock) -> Credential:
    with transaction() as session:
        row = Credential(
            reservation_id=stay.id, lock_id=lock_id, state="installed", vendor_name="tk-1",
            pin_encrypted=pin_vault().seal(Pin(DIGITS)), pin_last2=DIGITS[-2:],
            pin_fingerprint=pin_vault().fingerprint(Pin(DIGITS)), vendor_ref="7",
            valid_from=clock.now, expires_at=stay.check_out_at + timedelta(hours=24),
            sent_from=clock.now, sent_until=stay.check_out_at + timedelta(hours=24),
            sent_at=clock.now, accepted_at=clock.now, installed_at=clock.now,
        )  # fmt: skip
        session.add(row)
    return row


def test_an_item_has_the_fields_of_the_interface(api: Call, clock: Clock) -> None:
    unit = make_accommodation(name="Sea view")
    lock = make_mapping(unit)
    kind = make_room_type()
    stay = planned(
        make_stay(
            unit, check_in=date(2026, 3, 12), guest="Ana Souza", guest_email="ana@example.org",
            guest_phone="+5511999998888", amount=Decimal("1234.5"), currency="BRL", units=1,
            room_type_id=kind.id,
        )
    )  # fmt: skip
    body = api("GET", f"/reservations/{stay.id}").json
    assert body is not None
    jobs = body.pop("jobs")
    assert {job["kind"] for job in jobs} == {"generate", "revoke"}
    (generate,) = (job for job in jobs if job["kind"] == "generate")
    assert generate == {
        "kind": "generate", "job_id": f"gen-{stay.id}", "run_at": "2026-03-12T16:00:00Z",
        "status": "scheduled", "attempts": 0, "last_error": None,
    }  # fmt: skip
    for name in ("created_at", "updated_at", "processed_at"):
        body.pop(name)
    assert body == {
        "id": str(stay.id), "source": "stays", "external_id": stay.external_id,
        "status": "confirmed", "property_id": str(unit.property_id), "guest_name": "Ana Souza",
        "guest_email": "ana@example.org", "guest_phone": "+5511999998888",
        "accommodation": {"id": str(unit.id), "name": "Sea view"}, "room_type_id": str(kind.id),
        "check_in": "2026-03-12", "check_out": "2026-03-14",
        "check_in_at": "2026-03-12T18:00:00Z", "check_out_at": "2026-03-14T14:00:00Z",
        "units": 1, "amount": "1234.50", "currency": "BRL", "version": 1,
        "hold_expires_at": None, "sync_error": None,
        "pin": {
            "state": "awaiting", "masked": None, "valid_from": "2026-03-12T16:00:00Z",
            "expires_at": "2026-03-15T14:00:00Z", "lock_id": str(lock.id),
        },
    }  # fmt: skip


def test_the_list_is_what_the_service_finds(api: Call, clock: Clock) -> None:
    unit = make_accommodation()
    make_stay(unit, guest="Ana", check_in=date(2026, 4, 1))
    make_stay(unit, guest="Bea", check_in=date(2026, 4, 5), status="cancelled")
    body = api("GET", "/reservations?status=cancelled").json
    assert [row["guest_name"] for row in body["reservations"]] == ["Bea"]
    assert body["reservations"][0]["pin"]["state"] == "not_needed"
    assert body["pagination"] == {"page": 1, "limit": 50, "total": 1, "totalPages": 1}
    assert api("GET", "/reservations?q=ana").json["pagination"]["total"] == 1


def test_the_digits_of_a_pin_are_nowhere(app: Flask, api: Call, clock: Clock) -> None:
    unit = make_accommodation()
    lock = make_mapping(unit)
    stay = make_stay(unit, check_in=clock.now, nights=2)
    with_pin(stay, lock.id, clock)
    for path in ("/reservations", f"/reservations/{stay.id}"):
        answer = api("GET", path)
        assert answer.status_code == 200
        assert DIGITS not in answer.get_data(as_text=True)
    pin = api("GET", f"/reservations/{stay.id}").json["pin"]
    assert pin["masked"] == "•••••46"
    assert pin["state"] == "active"


def test_staff_read_and_do_not_reprocess(client: FlaskClient, staff: Headers) -> None:
    stay = make_stay()
    base = f"/api/admin/reservations/{stay.id}"
    assert client.get(base, headers=staff).status_code == 200
    for verb in ("reprocess", "revoke-pin"):
        assert client.post(f"{base}/{verb}", headers=staff).status_code == 403


def test_reprocess_orders_a_new_pin_and_says_who_asked(api: Call, clock: Clock) -> None:
    unit = make_accommodation()
    make_mapping(unit)
    stay = planned(make_stay(unit, check_in=clock.now))
    answer = api("POST", f"/reservations/{stay.id}/reprocess")
    assert answer.status_code == 202, answer.data
    assert answer.json["success"] is True
    assert answer.json["message"]
    assert answer.json["jobId"] == f"gen-{stay.id}"
    with transaction() as session:
        row = session.scalars(select(AuditEntry).where(AuditEntry.action == "reprocess")).one()
    assert row.actor.startswith("admin")
    assert row.entity_id == str(stay.id)


@pytest.mark.parametrize("verb", ["reprocess", "revoke-pin"])
def test_an_unknown_stay_is_404(api: Call, verb: str) -> None:
    assert api("POST", f"/reservations/{uuid4()}/{verb}").status_code == 404


def test_a_cancelled_stay_is_not_reprocessed(api: Call, clock: Clock) -> None:
    unit = make_accommodation()
    make_mapping(unit)
    stay = make_stay(unit, check_in=clock.now, status="cancelled")
    answer = api("POST", f"/reservations/{stay.id}/reprocess")
    assert answer.status_code == 409
    assert reload(stay).status == "cancelled"  # C-48: never revived


def test_revoke_works_for_a_cancelled_stay_too(api: Call, clock: Clock) -> None:
    unit = make_accommodation()
    lock = make_mapping(unit)
    stay = make_stay(unit, check_in=clock.now, status="cancelled")
    credential = with_pin(stay, lock.id, clock)
    answer = api("POST", f"/reservations/{stay.id}/revoke-pin")
    assert answer.status_code == 202, answer.data
    assert answer.json["success"] is True
    assert answer.json["jobId"]
    assert reload(credential).state == "revoking"


def test_there_is_nothing_to_revoke_without_a_pin(api: Call) -> None:
    assert api("POST", f"/reservations/{make_stay().id}/revoke-pin").status_code == 409
