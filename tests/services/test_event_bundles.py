"""Many messages at once end as they would one by one, with one transaction for most of them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models import ChannelEvent, ChannelEventAttempt, Reservation
from app.queue.interrupts import HandBack
from app.services import (
    beds24_intake,
    beds24_processing,
    event_rows,
    events,
    leases,
    stays_intake,
    stays_processing,
)
from app.services.event_outcomes import Malformed
from app.transaction import transaction
from tests.beds24 import House, make_beds24_house, told, v2
from tests.conftest import Clock
from tests.factories import make_accommodation
from tests.queue.conftest import wait_for

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture
def house() -> House:
    return make_beds24_house()


def store(body: dict[str, Any]) -> UUID:
    return beds24_intake.receive(json.dumps(body).encode(), told()).event_id


def months(number: int, **fields: Any) -> dict[str, Any]:
    """A booking of its own in a month of its own."""
    day = f"2026-{4 + number % 8:02}-{1 + number // 8:02}"
    fields = {"id": 70_000_000 + number, "arrival": day, "departure": f"{day[:8]}28"} | fields
    return v2(**fields)


def ended() -> dict[str, tuple[str, str | None]]:
    """How each event stands, and the word on its last attempt."""
    with transaction() as session:
        rows = session.execute(
            select(ChannelEvent.id, ChannelEvent.status, ChannelEventAttempt.outcome)
            .outerjoin(ChannelEventAttempt, ChannelEventAttempt.event_id == ChannelEvent.id)
            .order_by(ChannelEventAttempt.started_at)
        )
        return {str(id_): (status, word) for id_, status, word in rows}


def stays() -> dict[str, tuple[Any, ...]]:
    with transaction() as session:
        rows = session.execute(
            select(
                Reservation.external_id,
                Reservation.status,
                Reservation.accommodation_id,
                Reservation.check_in_on,
                Reservation.amount,
            )
        )
        return {str(row[0]): tuple(row[1:]) for row in rows}


def test_one_job_takes_in_all_that_wait(house: House, redis: Redis) -> None:
    ids = [store(months(number)) for number in range(20)]
    events.process(ids[7])
    assert ended() == {str(id_): ("done", "done") for id_ in ids}
    assert len(stays()) == 20
    with transaction() as session:
        rows = session.scalars(select(ChannelEvent)).all()
        tries = session.scalars(select(ChannelEventAttempt)).all()
    assert all(row.entity_internal_id for row in rows)
    assert {(row.normalized_payload or {})["outcome"] for row in rows} == {"done"}
    assert all(row.entity_modified_at and row.lease_token is None for row in rows)
    assert [each.number for each in tries] == [1] * 20
    assert not redis.exists(*(f"rq:job:evt-{id_}" for id_ in ids if id_ != ids[7]))


def test_each_goes_its_own_way(house: House, clock: Clock) -> None:
    """What cannot go along goes by itself: unmapped, cancelled, sparse, a block, an older copy."""
    plain = store(months(1))
    unmapped = store(months(2, roomId=610099))
    cancelled = store(months(3, status="cancelled"))
    sparse = store({"booking": {"id": 4, "propertyId": 51001, "status": "cancelled"}})
    block = store(months(5, status="black"))
    newer = store(months(6, price=900, modifiedTime="2026-03-10T11:30:00Z"))
    clock.move(seconds=1)
    older = store(months(6, price=100))
    events.process(plain)
    assert ended() == {
        str(plain): ("done", "done"),
        str(unmapped): ("failed", "failed"),
        str(cancelled): ("done", "done"),
        str(sparse): ("done", "done"),
        str(block): ("done", "done"),
        str(newer): ("done", "done"),
        str(older): ("done", "stale"),
    }
    with transaction() as session:
        failed = session.get_one(ChannelEvent, unmapped)
    assert failed.last_error == "room 610099 of property 51001 is not mapped"
    assert failed.waiting_for == "610099"
    known = stays()
    assert known["70000006"][3] == 900
    assert known["70000003"][0] == "cancelled"
    assert "70000005" not in known


def test_an_older_copy_in_a_bundle_is_stale(house: House) -> None:
    events.process(store(months(1, price=900, modifiedTime="2026-03-10T11:30:00Z")))
    late, other = store(months(1, price=100)), store(months(2))
    events.process(other)
    assert ended()[str(late)] == ("done", "stale")
    assert stays()["70000001"][3] == 900


@pytest.mark.parametrize("processor", [beds24_processing, stays_processing])
def test_a_bundle_that_breaks_is_taken_apart(
    house: House, monkeypatch: pytest.MonkeyPatch, processor: Any
) -> None:
    def broken(session: Session, found: object) -> list[Any]:
        session.execute(update(ChannelEvent).values(status="ignored"))
        raise ZeroDivisionError

    monkeypatch.setattr(processor, "apply_many", broken)
    if processor is beds24_processing:
        ids = [store(months(number)) for number in range(4)]
    else:
        ids = [store_stays(number) for number in range(4)]
    events.process(ids[0])
    assert ended() == {str(id_): ("done", "done") for id_ in ids}
    assert len(stays()) == 4


def store_stays(number: int) -> UUID:
    room = make_accommodation()
    data = {
        "id": f"S{number}",
        "accommodation_id": room.stays_id,
        "guest_name": "Ana Souza",
        "status": "confirmed",
        "check_in": "2026-04-01",
        "check_out": "2026-04-03",
    }
    body = {
        "event": "reservation.created",
        "eventId": f"s-{number}",
        "timestamp": "2026-03-10T12:00:00Z",
        "data": data,
    }
    return stays_intake.receive(body, json.dumps(body).encode(), {}).event_id


def test_stays_come_together_as_well() -> None:
    ids = [store_stays(number) for number in range(6)]
    events.process(ids[0])
    assert ended() == {str(id_): ("done", "done") for id_ in ids}
    assert len(stays()) == 6


def test_one_that_somebody_took_meanwhile_undoes_the_bundle(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [store(months(number)) for number in range(3)]
    take = event_rows.claim_more
    theirs: list[UUID] = []

    def taken(source: str, most: int) -> list[event_rows.Work]:
        works = take(source, most)
        theirs.append(works[0].id)
        with transaction() as session:
            session.execute(
                update(ChannelEvent)
                .where(ChannelEvent.id == works[0].id)
                .values(lease_token=works[1].token)
            )
        return works

    monkeypatch.setattr(event_rows, "claim_more", taken)
    events.process(ids[0])
    states = ended()
    assert states.pop(str(theirs[0]))[0] == "processing"
    assert set(states.values()) == {("done", "done")}
    assert len(stays()) == 2


def test_a_process_that_stops_hands_the_rest_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [store(months(number, roomId=610099)) for number in range(3)]  # each goes by itself

    def stop(work: object) -> None:
        raise HandBack

    monkeypatch.setattr(beds24_processing, "look_into", stop)
    with pytest.raises(HandBack):
        events.process(ids[0])
    assert ended() == {str(id_): ("received", "handed_back") for id_ in ids}


def test_what_failed_before_is_not_swept_along(house: House, clock: Clock) -> None:
    tried, fresh = store(months(1)), store(months(2))
    with transaction() as session:
        session.execute(update(ChannelEvent).where(ChannelEvent.id == tried).values(attempts=1))
    events.process(fresh)
    assert ended()[str(tried)] == ("received", None)


def test_those_that_wait_behind_a_slow_channel_stay_ours(
    house: House, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three that have to be asked for one by one, a minute each: nobody else may take the last
    for a dead worker's."""
    ids = [store(v2(id=n, arrival=None)) for n in (1, 2, 3)]
    real = leases.renewed
    monkeypatch.setattr(leases, "renewed", lambda renew: real(renew, every=0.01))
    seen = []

    def slow(work: Any) -> Any:
        clock.move(seconds=60)
        waiting = [each for each in ids if each != work.id and each not in seen]
        seen.append(work.id)

        def kept() -> bool:
            with transaction() as session:
                until = session.scalars(
                    select(ChannelEvent.lease_until).where(ChannelEvent.id.in_(waiting))
                ).all()
            return all(each is not None and each > clock.now for each in until)

        wait_for(kept)
        raise Malformed("nothing to see")

    monkeypatch.setattr(beds24_processing, "look_into", slow)
    events.process(ids[0])
    assert len(seen) == 3
    with transaction() as session:
        rows = session.scalars(select(ChannelEvent)).all()
    assert {(row.status, row.attempts, row.last_error_kind) for row in rows} == {
        ("failed", 1, "invalid")
    }
