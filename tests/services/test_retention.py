"""What goes each night, to the second; what is still needed stays; a killed job goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.errors import InvalidTransition
from app.extensions import db
from app.models import (
    AuditEntry,
    ChannelEvent,
    ChannelProperty,
    Credential,
    Discrepancy,
    PinJob,
    ReconciliationLog,
    Reservation,
    SystemSetting,
    UserSession,
)
from app.queue.interrupts import HandBack
from app.services import event_desk, privacy_rules, retention
from app.services.audit import Actor
from app.services.privacy_rules import BY_NAME, RULES, Limits
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    make_lock,
    make_property,
    make_stay,
    make_user,
    reload,
)

T = TypeVar("T")
RUTH = Actor("ruth@example.org", uuid4(), "admin", "10.0.0.7")
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def ago(rule: str, seconds: int = 0) -> datetime:
    return NOON - timedelta(days=BY_NAME[rule].days, seconds=seconds)


def saved(row: T) -> T:
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def ended(seconds: int = 0, **fields: Any) -> Reservation:
    """A stay that ended as long ago as guests are remembered, and so many seconds more."""
    out = ago("guest_days", seconds)
    person: dict[str, Any] = {
        "guest_email": "helena@prado.example",
        "guest_phone": "+55 48 99999-1234",
    }
    return make_stay(
        check_in=out - timedelta(days=2), check_out=out, guest="Helena Prado", **(person | fields)
    )


def connection() -> ChannelProperty:
    return saved(
        ChannelProperty(
            property_id=make_property().id, channel_name="beds24", channel_property_id="51001"
        )
    )


def make_event(of: ChannelProperty, status: str = "done", **fields: Any) -> ChannelEvent:
    defaults: dict[str, Any] = {
        "channel_property_id": of.id,
        "direction": "inbound",
        "source": "beds24",
        "event_type": "booking.modified",
        "entity_type": "booking",
        "idempotency_key": str(uuid4()),
        "payload": {"booking": {"firstName": "Helena"}},
        "raw_body": "Helena",
        "status": status,
        "processed_at": NOON,
    }
    return saved(ChannelEvent(**(defaults | fields)))


def make_credential(stay: Reservation, state: str = "revoked", **fields: Any) -> Credential:
    defaults: dict[str, Any] = {
        "reservation_id": stay.id,
        "lock_id": make_lock().id,
        "pin_last2": "21",
        "pin_fingerprint": "f" * 32,
        "state": state,
        "valid_from": stay.check_in_at,
        "expires_at": stay.check_out_at,
        "vendor_name": f"tk-{uuid4()}",
    }
    return saved(Credential(**(defaults | fields)))


def entry(action: str, at: datetime, **fields: Any) -> AuditEntry:
    return saved(
        AuditEntry(**({"at": at, "actor": "x", "action": action, "entity": "lock"} | fields))
    )


def exists(row: Any) -> bool:
    with transaction() as session:
        return session.get(type(row), row.id) is not None


def test_the_defaults_are_those_of_the_requirements(app: Flask) -> None:
    assert privacy_rules.limits() == {
        "guest_days": 30,
        "payload_days": 90,
        "stay_days": 730,
        "pin_days": 30,
        "pin_log_days": 90,
        "activity_days": 90,
        "sign_in_days": 30,
        "address_days": 14,
        "session_days": 30,
        "run_days": 14,
        "try_days": 30,
        "finding_days": 90,
    }
    assert all(rule.least <= rule.days <= rule.most for rule in RULES)
    assert set(Limits.model_fields) == set(BY_NAME)


def test_a_guest_is_forgotten_to_the_second_and_the_stay_stays(app: Flask, clock: Clock) -> None:
    stay, younger = ended(), ended(-1)
    retention.tick()
    after, kept = reload(stay), reload(younger)
    assert (after.guest_name, after.guest_email, after.guest_phone) == (None, None, None)
    assert after.anonymised_at == NOON
    assert "helena" not in after.search_text
    assert (after.external_id, after.check_in_at, after.accommodation_id, after.status) == (
        stay.external_id,
        stay.check_in_at,
        stay.accommodation_id,
        "confirmed",
    )
    assert kept.guest_name == "Helena Prado"
    assert kept.anonymised_at is None


def live_pin(stay: Reservation) -> None:
    make_credential(stay, "installed")


def unproven_pin(stay: Reservation) -> None:
    make_credential(stay, "unknown")


def open_order(stay: Reservation) -> None:
    saved(
        PinJob(
            reservation_id=stay.id,
            kind="revoke",
            job_id=f"rev-{stay.id}",
            run_at=NOON,
            valid_from=stay.check_in_at,
            expires_at=stay.check_out_at,
            status="failed",
            next_attempt_at=NOON,
        )
    )


def failed_event(stay: Reservation) -> None:
    make_event(connection(), "failed", entity_internal_id=stay.id, processed_at=None)


def open_discrepancy(stay: Reservation) -> None:
    saved(
        Discrepancy(
            channel_property_id=connection().id,
            kind="dates",
            subject=str(stay.external_id),
            reservation_id=stay.id,
            severity="high",
            reason="the dates differ",
            fingerprint="x",
            last_seen_at=NOON,
        )
    )


@pytest.mark.parametrize(
    "reason", [live_pin, unproven_pin, open_order, failed_event, open_discrepancy]
)
def test_what_still_moves_or_waits_for_a_person_keeps_its_guest(
    app: Flask, clock: Clock, reason: Callable[[Reservation], None]
) -> None:
    stay = ended(86400)
    reason(stay)
    retention.tick()
    assert reload(stay).guest_name == "Helena Prado"


def test_a_guest_who_is_still_in_the_house_is_not_forgotten(app: Flask, clock: Clock) -> None:
    stay = ended(86400, status="checked_in")
    retention.tick()
    assert reload(stay).guest_name == "Helena Prado"


def test_a_cancelled_stay_is_forgotten_from_its_cancellation_on(app: Flask, clock: Clock) -> None:
    coming: dict[str, Any] = {"check_in": NOON + timedelta(days=100), "status": "cancelled"}
    long_ago = make_stay(**coming, cancelled_at=ago("guest_days"))
    lately = make_stay(**coming, cancelled_at=ago("guest_days", -1))
    retention.tick()
    assert reload(long_ago).guest_name is None
    assert reload(lately).guest_name == "Ana Souza"


def test_what_events_carried_goes_and_what_failed_waits(app: Flask, clock: Clock) -> None:
    of = connection()
    old = make_event(of, processed_at=ago("payload_days"))
    young = make_event(of, processed_at=ago("payload_days", -1))
    failed = make_event(of, "failed", processed_at=ago("payload_days", 86400 * 100))
    retention.tick()
    emptied = reload(old)
    assert (emptied.payload, emptied.raw_body, emptied.emptied_at) == ({}, None, NOON)
    assert reload(young).payload == {"booking": {"firstName": "Helena"}}
    assert reload(failed).raw_body == "Helena"


def test_a_late_event_about_a_forgotten_guest_is_emptied_the_next_night(
    app: Flask, clock: Clock
) -> None:
    stay = ended()
    retention.tick()
    late = make_event(connection(), entity_internal_id=stay.id)
    clock.move(days=1)
    retention.tick()
    assert reload(late).payload == {}


def test_stays_go_after_two_years_with_all_that_hangs_on_them(app: Flask, clock: Clock) -> None:
    out = ago("stay_days")
    old = make_stay(check_in=out - timedelta(days=2), check_out=out)
    young = make_stay(check_in=out, check_out=out + timedelta(seconds=1))
    pin = make_credential(old)
    retention.tick()
    assert not exists(old)
    assert not exists(pin)
    assert exists(young)


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("pin_log_days", lambda at: entry("reveal", at, entity="reservation")),
        ("activity_days", lambda at: entry("update", at)),
        ("sign_in_days", lambda at: entry("sign_in", at, entity="user")),
        (
            "session_days",
            lambda at: saved(
                UserSession(
                    user_id=make_user(email=f"{uuid4()}@x.org").id,
                    token_hash=str(uuid4()),
                    last_seen_at=at,
                    expires_at=at,
                )
            ),
        ),
        (
            "run_days",
            lambda at: saved(
                ReconciliationLog(kind="stays", status="failed", started_at=at, completed_at=at)
            ),
        ),
    ],
)
def test_logs_go_to_the_second(
    app: Flask, clock: Clock, rule: str, make: Callable[[datetime], Any]
) -> None:
    old, young = make(ago(rule)), make(ago(rule, -1))
    retention.tick()
    assert not exists(old)
    assert exists(young)


def test_the_last_success_of_a_kind_stays_for_the_watermark(app: Flask, clock: Clock) -> None:
    def run(at: datetime) -> Any:
        row = ReconciliationLog(kind="stays", status="success", started_at=at, completed_at=at)
        return saved(row)

    last, before = run(ago("run_days", 10)), run(ago("run_days", 20))
    retention.tick()
    assert exists(last)
    assert not exists(before)


def test_digits_go_a_month_after_the_pin_and_addresses_after_two_weeks(
    app: Flask, clock: Clock
) -> None:
    stay = make_stay(check_in=ago("pin_days") - timedelta(days=2), check_out=ago("pin_days"))
    gone, live = make_credential(stay), make_credential(make_stay(), "installed")
    signed_in = entry("sign_in", ago("address_days"), ip="10.0.0.9", actor="davi@x.org")
    lately = entry("sign_in", ago("address_days", -1), ip="10.0.0.9")
    retention.tick()
    after = reload(gone)
    assert (after.pin_last2, after.pin_fingerprint) == ("", "")
    assert reload(live).pin_last2 == "21"
    with transaction() as session:
        found = {row.id: row for row in session.scalars(select(AuditEntry))}
    assert found[signed_in.id].ip is None
    assert found[signed_in.id].actor == "davi@x.org"
    assert found[lately.id].ip == "10.0.0.9"


def test_what_privacy_itself_did_is_told_for_ever(app: Flask, clock: Clock) -> None:
    long_ago = NOON - timedelta(days=4000)
    kept = [entry("erase", long_ago, entity="guest"), entry("retain", long_ago, entity="privacy")]
    retention.tick()
    assert all(exists(each) for each in kept)


def test_a_night_leaves_one_entry_with_its_numbers(app: Flask, clock: Clock) -> None:
    ended()
    entry("update", ago("activity_days"))
    assert retention.preview()["guests"] == 1
    assert retention.preview()["entries"] == 1
    retention.tick()
    retention.tick()
    with transaction() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "retain")).all()
    assert [(row.actor, row.entity, row.after) for row in rows] == [
        ("system", "privacy", {"guests": 1, "entries": 1})
    ]
    night = retention.latest()
    assert night is not None
    assert (night.night, night.finished_at, night.removed) == (
        "2026-03-10",
        NOON,
        {"guests": 1, "entries": 1},
    )
    assert not any(retention.preview().values())


def test_a_killed_job_goes_on_where_it_was(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 3)
    for _ in range(10):
        entry("update", ago("activity_days"))
    noted = retention._note
    calls = 0

    def killed(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise HandBack
        noted(*args)

    monkeypatch.setattr(retention, "_note", killed)
    with pytest.raises(HandBack):
        retention.tick()
    night = retention.latest()
    assert night is not None
    assert (night.finished_at, night.removed) == (None, {"entries": 6})
    assert retention.preview()["entries"] == 4
    monkeypatch.setattr(retention, "_note", noted)
    clock.move(minutes=10)
    retention.tick()
    night = retention.latest()
    assert night is not None
    assert night.removed == {"entries": 10}


def test_limits_are_changed_within_bounds_and_audited(app: Flask, clock: Clock) -> None:
    wanted = privacy_rules.limits() | {"guest_days": 10}
    privacy_rules.change(Limits(**wanted), actor=RUTH)
    privacy_rules.change(Limits(**wanted), actor=RUTH)
    assert privacy_rules.limits() == wanted
    with transaction() as session:
        row = session.scalars(select(AuditEntry)).one()
        stored = session.scalars(select(SystemSetting)).one()
    assert (row.actor, row.entity, row.before, row.after) == (
        "ruth@example.org",
        "setting",
        {"guest_days": 30},
        {"guest_days": 10},
    )
    assert (stored.name, stored.value) == ("privacy.guest_days", 10)
    stay = ended(-86400 * 19)
    retention.tick()
    assert reload(stay).guest_name is None
    with pytest.raises(ValueError, match="guest_days"):
        Limits(**(wanted | {"guest_days": 0}))


def test_a_stay_that_a_run_holds_waits_for_the_next_night(app: Flask, clock: Clock) -> None:
    stay, other = ended(), ended()
    with db.engine.connect() as held:
        held.execute(
            text("SELECT 1 FROM reservations WHERE id = :id FOR NO KEY UPDATE"), {"id": stay.id}
        )
        retention.tick()
        held.rollback()
    assert reload(stay).guest_name == "Helena Prado"
    assert reload(other).guest_name is None
    clock.move(days=1)
    retention.tick()
    assert reload(stay).guest_name is None


def test_the_tick_puts_a_night_in_line_until_it_is_done(
    app: Flask, clock: Clock, redis: Any
) -> None:
    retention.order()
    assert redis.lrange("rq:queue:reconciliation", 0, -1) == [b"privacy-retain"]
    redis.flushdb()
    retention.tick()
    retention.order()
    assert redis.lrange("rq:queue:reconciliation", 0, -1) == []
    clock.move(days=1)
    retention.order()
    assert redis.lrange("rq:queue:reconciliation", 0, -1) == [b"privacy-retain"]


def test_an_emptied_event_is_not_processed_again(app: Flask, clock: Clock) -> None:
    event = make_event(connection(), processed_at=ago("payload_days"))
    retention.tick()
    with pytest.raises(InvalidTransition, match="removed"):
        event_desk.replay(event.id, actor=RUTH)
    assert reload(event).status == "done"
