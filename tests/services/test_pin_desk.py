"""Failed PIN orders tried again by hand (DECISIONS 8, DLQ-19)."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock as app_clock
from app.errors import InvalidTransition, NotFound
from app.models import AuditEntry, PinJob, VendorState
from app.queue import status
from app.services import pin_desk
from app.services.audit import Actor
from app.transaction import transaction
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_stay,
    reload,
)
from tests.web.scenes import make_credential, make_order

pytestmark = pytest.mark.usefixtures("app", "clock")
DAVI = Actor("davi@vila.example", role="admin")


def failed_order(**fields: object) -> PinJob:
    room = make_accommodation()
    make_mapping(room)
    values = {"status": "failed", "attempts": 5, "last_error_kind": "lock_offline"} | fields
    return make_order(make_stay(room), **values)


def test_a_failed_order_is_tried_at_once_with_a_fresh_budget(redis: Redis) -> None:
    order = failed_order(last_error="the lock is away", next_attempt_at=None)
    pin_desk.retry(order.id, actor=DAVI)
    after = reload(order)
    assert (after.status, after.attempts, after.last_error) == ("scheduled", 0, None)
    assert after.next_attempt_at == app_clock.utcnow()
    assert status.queue_depths()["pins"] == 1
    assert redis.exists(f"rq:job:gen-{order.reservation_id}")
    with transaction() as session:
        (entry,) = session.scalars(select(AuditEntry).filter_by(entity="pin_order"))
    assert (entry.actor, entry.action, entry.entity_id) == (DAVI.label, "retry", str(order.id))
    assert entry.before == {"status": "failed", "attempts": 5, "error": "lock_offline"}


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "done", "cancelled"])
def test_only_failed_ones_are_retried(state: str) -> None:
    order = failed_order(status=state)
    with pytest.raises(InvalidTransition):
        pin_desk.retry(order.id, actor=DAVI)
    assert reload(order).status == state
    with pytest.raises(NotFound):
        pin_desk.retry(uuid4(), actor=DAVI)


def test_the_vendor_is_asked_at_once_whatever_pause_it_had() -> None:
    order = failed_order(last_error_kind="quota")
    with transaction() as session:
        session.add(
            VendorState(vendor="fake", paused_until=app_clock.utcnow() + timedelta(hours=1))
        )
    pin_desk.retry(order.id, actor=DAVI)
    with transaction() as session:
        assert session.get_one(VendorState, "fake").paused_until is None


def test_an_order_whose_stay_is_gone_goes_by_its_credential(redis: Redis) -> None:
    lock = make_lock()
    stay = make_stay(make_accommodation())
    credential = make_credential(stay, lock.id, state="revoking")
    order = make_order(
        stay, kind="revoke", reservation_id=None, credential_id=credential.id, status="failed"
    )
    pin_desk.retry(order.id, actor=DAVI)
    assert redis.exists(f"rq:job:revc-{credential.id}")


def test_two_who_press_at_once_queue_it_once(app: Flask) -> None:
    order = failed_order()
    gate, outcomes = threading.Barrier(5), []

    def press() -> None:
        with app.app_context():
            gate.wait()
            try:
                pin_desk.retry(order.id, actor=DAVI)
                outcomes.append("done")
            except InvalidTransition:
                outcomes.append("refused")

    threads = [threading.Thread(target=press) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["refused"] * 4
    assert status.queue_depths()["pins"] == 1
