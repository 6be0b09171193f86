"""Repairs of many: written down, done in portions, and told one by one (DLQ-16, DLQ-19)."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from redis import Redis

from app import clock as app_clock
from app.errors import Invalid, NotFound
from app.models import EventBatch
from app.queue import status
from app.services import event_batches, event_desk, event_plans, maintenance
from app.services.audit import Actor
from app.services.event_desk import IGNORE, REPLAY, RETRY
from app.services.event_filters import EventFilter
from app.services.event_plans import Chosen
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import deeds, make_event
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_stay,
    reload,
)
from tests.web.scenes import make_credential, make_order

pytestmark = pytest.mark.usefixtures("app", "clock")
DAVI = Actor("davi@vila.example", role="admin")


def row(batch_id: UUID) -> EventBatch:
    with transaction() as session:
        return session.get_one(EventBatch, batch_id)


def test_a_batch_says_how_each_stands(redis: Redis) -> None:
    house = make_property()
    events = [make_event(house=house) for _ in range(3)]
    done = make_event("done", house=house)
    batch_id = event_batches.start(RETRY, [*(e.id for e in events), done.id], actor=DAVI)
    assert event_batches.carry_out(batch_id)
    found = event_batches.report(batch_id)
    assert (found.batch.done, found.batch.position, found.batch.total) == (3, 4, 4)
    assert found.batch.finished_at == app_clock.utcnow()
    assert found.states == (("received", 3),)
    assert [each.id for each in found.skipped] == [done.id]
    assert found.moving
    with transaction() as session:
        session.merge(events[0]).status = "failed"
        for each in events[1:]:
            session.merge(each).status = "done"
    later = event_batches.report(batch_id)
    assert later.states == (("failed", 1), ("done", 2))
    assert [each.event.status for each in later.shown] == ["failed", "done", "done"]
    assert not later.moving
    assert status.queue_depths()["stays.inbound"] == 3
    assert [entry.actor for entry in deeds("retry")] == [DAVI.label] * 3
    with pytest.raises(NotFound):
        event_batches.report(uuid4())


def test_what_is_not_done_in_time_goes_on_in_the_background(
    monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    monkeypatch.setattr(event_batches, "AT_ONCE", 2)
    house = make_property()
    ids = [make_event(house=house).id for _ in range(5)]
    batch_id = event_batches.start(RETRY, ids, actor=DAVI)
    assert not event_batches.carry_out(batch_id, 0)
    assert (row(batch_id).position, row(batch_id).finished_at) == (2, None)
    assert event_batches.report(batch_id).moving
    assert redis.exists(f"rq:job:batch-{batch_id}")
    assert event_batches.carry_out(batch_id, 60)
    assert (row(batch_id).done, len(deeds("retry"))) == (5, 5)
    assert event_batches.carry_out(batch_id, 60)  # once more does nothing
    assert len(deeds("retry")) == 5


def test_a_killed_worker_loses_its_portion_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, redis: Redis
) -> None:
    """The portion and the batch's position are one transaction; the sweep brings the rest back."""
    monkeypatch.setattr(event_batches, "AT_ONCE", 2)
    house = make_property()
    ids = [make_event(house=house).id for _ in range(4)]
    batch_id = event_batches.start(IGNORE, ids, actor=DAVI, reason="tests")
    event_batches.carry_out(batch_id, 0)
    whole, asked = event_desk.portion, []

    def killed(*args: Any) -> None:
        asked.append(whole(*args))
        raise KeyboardInterrupt

    monkeypatch.setattr(event_desk, "portion", killed)
    with pytest.raises(KeyboardInterrupt):
        event_batches.carry_out(batch_id, 60)
    assert asked
    assert (row(batch_id).position, len(deeds("ignore"))) == (2, 2)
    monkeypatch.setattr(event_desk, "portion", whole)
    redis.flushdb()
    assert maintenance.SWEEPERS["event_batches"](app_clock.utcnow()) == 0  # it may be at work
    clock.move(seconds=11)
    assert maintenance.SWEEPERS["event_batches"](app_clock.utcnow()) == 1
    assert redis.exists(f"rq:job:batch-{batch_id}")
    event_batches.carry_out(batch_id, 60)
    assert [entry.after["reason"] for entry in deeds("ignore")] == ["tests"] * 4  # type: ignore[index]
    assert maintenance.SWEEPERS["event_batches"](app_clock.utcnow() + timedelta(hours=1)) == 0


def test_two_workers_do_a_batch_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_batches, "AT_ONCE", 3)
    house = make_property()
    ids = [make_event(house=house).id for _ in range(12)]
    batch_id = event_batches.start(RETRY, ids, actor=DAVI)
    gate = threading.Barrier(4)

    def work() -> None:
        with app.app_context():
            gate.wait()
            event_batches.carry_out(batch_id, 60)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while row(batch_id).finished_at is None:  # one that was turned away came too early to end it
        event_batches.carry_out(batch_id, 60)
    assert (row(batch_id).done, row(batch_id).skipped) == (12, [])
    assert len(deeds("retry")) == 12
    assert status.queue_depths()["stays.inbound"] == 12


def test_two_admins_who_repair_the_same_queue_it_once(app: Flask) -> None:
    """DLQ-19: the same selection pressed in two browsers at once."""
    house = make_property()
    ids = [make_event(house=house).id for _ in range(20)]
    order = make_order(make_stay(make_accommodation(house)), status="failed", attempts=4)
    gate, batches = threading.Barrier(4), []

    def press(turn: int) -> None:
        with app.app_context():
            gate.wait()
            mine = ids if turn % 2 else ids[::-1]
            batch_id = event_batches.start(RETRY, mine, [order.id], actor=DAVI)
            event_batches.carry_out(batch_id, 60)
            batches.append(batch_id)

    threads = [threading.Thread(target=press, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(batches) == 4
    assert sum(row(each).done for each in batches) == 21
    assert len(deeds("retry")) == 20
    assert status.queue_depths()["stays.inbound"] == 20
    assert status.queue_depths()["pins"] == 1


def test_what_a_batch_refuses() -> None:
    event = make_event()
    order = make_order(make_stay(make_accommodation()), status="failed", attempts=4)
    with pytest.raises(Invalid) as refused:
        event_batches.start(IGNORE, [event.id], actor=DAVI, reason=" ")
    assert refused.value.errors[0].field == "reason"
    with pytest.raises(Invalid) as refused:
        event_batches.start(REPLAY, [event.id], [order.id], actor=DAVI)
    assert refused.value.errors[0].field == "pin_order"
    with pytest.raises(Invalid) as refused:
        event_batches.start(RETRY, [uuid4() for _ in range(5001)], actor=DAVI)
    assert refused.value.errors[0].field == "id"


def test_a_plan_names_guests_and_pins(clock: Clock) -> None:
    house = make_property()
    lock = make_lock()
    room = make_accommodation(house)
    make_mapping(room, lock)
    here = make_stay(room, guest="Ana")
    make_credential(here, lock.id)
    over = make_stay(make_accommodation(house), status="cancelled")
    named = make_event(house=house, entity_external_id=here.external_id)
    known = make_event(house=house, entity_internal_id=here.id)
    about_nobody = make_event(house=house)
    past = make_event(house=house, entity_internal_id=over.id)
    order = make_order(make_stay(make_accommodation(house)), status="failed", attempts=4)
    fine = make_order(make_stay(make_accommodation(house)), status="done")
    ids = [each.id for each in (named, known, about_nobody, past)]
    found = event_plans.plan(Chosen(ids, [order.id, fine.id]), RETRY)
    assert (len(found.ids), found.orders, found.orders_left_out) == (4, (order.id,), 1)
    assert (found.guests, found.pins) == (2, 1)
    assert here.id in {each.stay.id for each in found.hit}
    ignoring = event_plans.plan(Chosen(ids, [order.id]), IGNORE)
    assert (ignoring.orders, ignoring.orders_left_out, ignoring.guests) == ((), 1, 1)


def test_all_that_match_counts_pin_orders_only_for_a_retry() -> None:
    event = make_event()
    order = make_order(make_stay(make_accommodation()), status="failed", attempts=4)
    done, ignored = make_event("done"), make_event("ignored")
    filters = EventFilter.from_args({})
    assert event_plans.matching(filters, RETRY) == Chosen([event.id], [order.id])
    assert event_plans.matching(filters, IGNORE) == Chosen([event.id], [])
    replayed = event_plans.matching(filters, REPLAY)
    assert (set(replayed.ids), replayed.orders) == ({event.id, done.id, ignored.id}, [])
    assert reload(event).status == "failed"
