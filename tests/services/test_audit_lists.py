"""Finding what was done: filters, search, names, and the export of all that match."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event, select

from app import clock as app_clock
from app.errors import Invalid, NotFound
from app.extensions import db
from app.models import AuditEntry
from app.services import audit, audit_lists, audit_names
from app.services.audit import SYSTEM, Actor, Deed
from app.services.audit_lists import AuditFilter
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_stay

RUTH = Actor("ruth@example.org", uuid4(), "admin", "10.0.0.7")


def log(actor: Actor, *deeds: Deed) -> None:
    with transaction() as session:
        audit.record_many(session, actor, deeds)


def found(**args: str) -> list[str]:
    page = audit_lists.search(AuditFilter.from_args(args))
    return [f"{row.actor} {row.action} {row.entity}" for row in page.items]


def test_the_filters_narrow_and_the_newest_come_first(app: Flask, clock: Clock) -> None:
    log(SYSTEM, Deed("create", "lock", uuid4()))
    first = app_clock.utcnow()
    clock.move(hours=1)
    thing = uuid4()
    log(RUTH, Deed("reveal", "reservation", thing), Deed("map", "accommodation", uuid4()))
    assert found()[-1] == "system create lock"
    assert len(found()) == 3
    assert found(actor="ruth@example.org", action="reveal") == [
        "ruth@example.org reveal reservation"
    ]
    assert len(found(action="reveal,map")) == 2
    assert found(entity="lock") == ["system create lock"]
    assert found(entity_id=str(thing)) == ["ruth@example.org reveal reservation"]
    moment = (first + timedelta(minutes=1)).isoformat()
    assert len(found(**{"from": moment})) == 2
    assert found(to=moment) == ["system create lock"]
    assert found(sort="action")[0] == "system create lock"
    assert found(sort="action", order="desc")[0].endswith("reveal reservation")
    assert audit_lists.choices() == audit_lists.Choices(
        ("ruth@example.org", "system"),
        ("create", "map", "reveal"),
        ("accommodation", "lock", "reservation"),
    )


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"sort": "ip"}, "sort"),
        ({"order": "up"}, "order"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
        ({"page": "0"}, "page"),
    ],
)
def test_a_bad_parameter_is_named(args: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        AuditFilter.from_args(args)
    assert caught.value.errors[0].field == field


def test_an_entry_that_does_not_exist_is_not_found(app: Flask) -> None:
    with pytest.raises(NotFound):
        audit_lists.get(uuid4())


def test_a_text_finds_the_guest_the_room_the_lock_the_person_and_the_id(
    app: Flask, clock: Clock
) -> None:
    room = make_accommodation(name="Duna", number="204")
    lock = make_lock(name="Gateway sul")
    stay = make_stay(room, guest="Helena Prado")
    log(RUTH, Deed("reveal", "reservation", stay.id))
    log(SYSTEM, Deed("map", "accommodation", room.id), Deed("update", "lock", lock.id))
    assert found(q="helena") == ["ruth@example.org reveal reservation"]
    assert found(q="duna")[0] in ("system map accommodation", "ruth@example.org reveal reservation")
    assert "system map accommodation" in found(q="204")
    assert found(q="gateway") == ["system update lock"]
    assert found(q=str(lock.id)) == ["system update lock"]
    assert found(q="ruth@example.org") == ["ruth@example.org reveal reservation"]
    assert found(q="nobody at all") == []


def test_what_an_entry_is_about_has_its_name(app: Flask, clock: Clock) -> None:
    room = make_accommodation(name="Duna")
    other = make_accommodation(name="Coral")
    stay = make_stay(room, guest="Helena Prado")
    after = {"accommodation_id": str(other.id)}
    log(RUTH, Deed("update", "reservation", stay.id, {"accommodation_id": str(room.id)}, after))
    log(SYSTEM, Deed("delete", "lock", uuid4()))
    names = audit_names.of(audit_lists.search(AuditFilter()).items)
    assert {names[stay.id].name, names[room.id].name, names[other.id].name} == {
        "Helena Prado",
        "Duna",
        "Coral",
    }
    assert len(names) == 3


def test_a_page_costs_the_same_statements_however_many_entries(app: Flask, clock: Clock) -> None:
    def statements(wanted: AuditFilter) -> int:
        seen: list[str] = []

        def count(*args: object) -> None:
            seen.append(str(args[2]))

        event.listen(db.engine, "before_cursor_execute", count)
        try:
            page = audit_lists.search(wanted)
            audit_names.of(page.items)
            audit_lists.choices()
        finally:
            event.remove(db.engine, "before_cursor_execute", count)
        return len(seen)

    stays = [make_stay() for _ in range(3)]
    log(SYSTEM, Deed("update", "reservation", stays[0].id))
    few = statements(AuditFilter(limit=200))
    log(SYSTEM, *(Deed("update", "reservation", stay.id) for stay in stays for _ in range(50)))
    assert statements(AuditFilter(limit=200)) == few == 4


def test_the_export_holds_all_that_match_guards_formulas_and_is_an_entry_itself(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_lists, "AT_ONCE", 7)
    log(SYSTEM, *(Deed("create", "rate", n) for n in range(30)))
    log(SYSTEM, Deed("update", "lock", "=1+1", {"name": "Über"}, {"name": "=SUM(A1)"}))
    clock.move(seconds=1)
    pieces = audit_lists.export(AuditFilter(q=None), actor=RUTH)
    log(SYSTEM, Deed("create", "rate", "too late"))
    clock.move(seconds=1)
    rows = list(csv.DictReader(io.StringIO("".join(pieces))))
    assert len(rows) == 31
    assert {row["entity_id"] for row in rows if row["entity"] == "rate"} == set(map(str, range(30)))
    update = next(row for row in rows if row["action"] == "update")
    assert update["entity_id"] == "'=1+1"
    assert update["before"] == '{"name": "Über"}'
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "export")).one()
    assert (entry.actor, entry.ip, entry.after) == ("ruth@example.org", "10.0.0.7", {"rows": 31})


def test_an_export_does_not_keep_what_was_searched_for(app: Flask, clock: Clock) -> None:
    list(audit_lists.export(AuditFilter(q="helena@example.org"), actor=RUTH))
    with transaction() as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert entry.after == {"rows": 0, "searched": True}
