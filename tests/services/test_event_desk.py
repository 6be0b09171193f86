"""Failed events repaired by hand (DLQ-09…19, C-34)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app import clock as app_clock
from app.errors import Invalid, InvalidTransition, NotFound
from app.models import ChannelEventAttempt
from app.queue import status
from app.services import event_desk, event_rows
from app.services.audit import Actor
from app.services.event_filters import EventFilter
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import deeds, make_event
from tests.factories import make_property, reload

pytestmark = pytest.mark.usefixtures("app", "clock")
DAVI = Actor("davi@vila.example", role="admin")
STATES = ("received", "processing", "retrying", "done", "failed", "ignored")


def attempts_of(event_id: Any) -> int:
    with transaction() as session:
        return (
            session.scalar(
                select(func.count())
                .select_from(ChannelEventAttempt)
                .where(ChannelEventAttempt.event_id == event_id)
            )
            or 0
        )


def test_a_retry_starts_anew_and_keeps_what_was_tried(redis: Redis) -> None:
    event = make_event(tries=3)
    event_desk.retry(event.id, actor=DAVI)
    after = reload(event)
    assert (after.status, after.attempts, after.last_error) == ("received", 0, None)
    assert after.next_attempt_at == app_clock.utcnow()
    assert attempts_of(event.id) == 3
    assert status.queue_depths()["stays.inbound"] == 1
    (row,) = deeds("retry")
    assert (row.actor, row.entity_id) == (DAVI.label, str(event.id))
    assert row.before == {"status": "failed", "attempts": 3, "error": "invalid"}
    assert event_rows.claim(event.id) is not None  # a worker takes it as it takes a new one
    assert attempts_of(event.id) == 4


def test_a_retried_event_that_waited_for_its_next_try_is_due_now() -> None:
    later = app_clock.utcnow() + timedelta(minutes=2)
    event = make_event("retrying", next_attempt_at=later)
    event_desk.retry(event.id, actor=DAVI)
    assert event_rows.claim(event.id) is not None


@pytest.mark.parametrize(
    ("act", "allowed"),
    [
        (event_desk.retry, {"failed", "retrying"}),
        (event_desk.replay, {"done", "failed", "ignored"}),
        (lambda id_, actor: event_desk.ignore(id_, "known", actor=actor), {"failed"}),
    ],
)
def test_what_may_be_done_in_which_state(act: Callable[..., None], allowed: set[str]) -> None:
    for state in STATES:
        event = make_event(state)
        if state in allowed:
            act(event.id, actor=DAVI)
            assert reload(event).status in ("received", "ignored")
        else:
            with pytest.raises(InvalidTransition):
                act(event.id, actor=DAVI)
            assert reload(event).status == state
    with pytest.raises(NotFound):
        act(uuid4(), actor=DAVI)


def test_ignoring_needs_a_reason_and_puts_nothing_in_line(redis: Redis) -> None:
    event = make_event()
    for reason in ("", " \n", "x" * 501):
        with pytest.raises(Invalid) as refused:
            event_desk.ignore(event.id, reason, actor=DAVI)
        assert refused.value.errors[0].field == "reason"
    event_desk.ignore(event.id, " a test booking ", actor=DAVI)
    after = reload(event)
    assert (after.status, after.processed_at) == ("ignored", app_clock.utcnow())
    assert after.last_error == "payload._id: expected an id"
    (row,) = deeds("ignore")
    assert row.after == {"status": "ignored", "reason": "a test booking"}
    assert status.queue_depths()["stays.inbound"] == 0


def test_a_replay_keeps_what_the_channel_sent_byte_for_byte() -> None:
    """DLQ-17: what a worker gets is what it got the first time."""
    event = make_event("done", processed_at=app_clock.utcnow(), normalized_payload={"a": 1})
    event_desk.replay(event.id, actor=DAVI)
    after = reload(event)
    assert after.processed_at is None
    work = event_rows.claim(event.id)
    assert work is not None
    assert (work.payload, work.received_at) == (event.payload, event.received_at)
    assert [row.action for row in deeds("replay")] == ["replay"]


def test_two_admins_at_once_queue_it_once(app: Flask) -> None:
    """DLQ-19."""
    event = make_event()
    gate, outcomes = threading.Barrier(6), []

    def press() -> None:
        with app.app_context():
            gate.wait()
            try:
                event_desk.retry(event.id, actor=DAVI)
                outcomes.append("done")
            except InvalidTransition:
                outcomes.append("refused")

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["refused"] * 5
    assert len(deeds("retry")) == 1
    assert status.queue_depths()["stays.inbound"] == 1


def test_a_batch_says_what_became_of_each() -> None:
    """DLQ-16."""
    one, done, strange = make_event(), make_event("done"), uuid4()
    outcome = event_desk.retry_many([one.id, done.id, strange, one.id], actor=DAVI)
    assert outcome.done == [one.id]
    assert {skipped.id: skipped.reason for skipped in outcome.skipped} == {
        done.id: "the event is done; only failed or retrying ones can be retried",
        strange: "no such event",
    }
    again = event_desk.retry_many([one.id], actor=DAVI)
    assert again.done == []
    assert again.skipped[0].reason == "the event is in flight (received)"


def test_a_large_batch_goes_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_desk, "AT_ONCE", 2)
    house = make_property()
    ids = [make_event(house=house).id for _ in range(5)]
    assert event_desk.retry_many(ids, actor=DAVI).done == ids
    monkeypatch.setattr(event_desk, "MOST", 4)
    with pytest.raises(Invalid) as refused:
        event_desk.retry_many(ids, actor=DAVI)
    assert refused.value.errors[0].field == "ids"


def test_all_that_match_means_the_failed_ones_unless_a_state_is_named(clock: Clock) -> None:
    house = make_property()
    first = make_event(house=house)
    clock.move(minutes=1)
    second = make_event(house=house, kind="internal", error="an internal error (KeyError)")
    waiting = make_event("retrying", house=house)
    make_event("done", house=house)
    make_event()  # another house
    mine = {"property_id": str(house.id)}
    assert event_desk.matching(EventFilter.from_args(mine)) == [first.id, second.id]
    both = EventFilter.from_args(mine | {"status": "failed,retrying,done"})
    assert set(event_desk.matching(both)) == {first.id, second.id, waiting.id}
    assert event_desk.matching(EventFilter.from_args(mine | {"status": "done"})) == []
