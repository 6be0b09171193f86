"""app/services/reservation_lists.py: filters, views, search, pages (RES-27…31, DECISIONS 16)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event

from app.errors import Invalid, NotFound
from app.extensions import db
from app.services import reservation_lists
from app.services.reservation_lists import VIEWS, ReservationFilter, search_query
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)

#: what could be chosen in the place of the index of open stays
OTHER_INDEXES = """
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE indrelid = 'reservations'::regclass
      AND indexrelid <> 'ix_reservations_open'::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL sent inside the block."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def guests(**args: str) -> list[str | None]:
    page = reservation_lists.search(ReservationFilter.from_args(args))
    return [row.reservation.guest_name for row in page.items]


def test_a_page_costs_five_statements_at_any_size(app: Flask, clock: Clock) -> None:
    unit = make_accommodation()
    make_mapping(unit)
    for n in range(12):
        make_stay(unit, check_in=date(2026, 4, 1) + timedelta(days=3 * n))
    for limit in ("1", "12"):
        with statements() as sent:
            page = reservation_lists.search(ReservationFilter.from_args({"limit": limit}))
        assert len(page.items) == int(limit)
        assert page.total == 12
        assert len(sent) <= 5, sent
    with statements() as sent:
        reservation_lists.search(ReservationFilter.from_args({"view": "active", "q": "ana"}))
    assert len(sent) <= 6, sent


@pytest.mark.parametrize("view", ["active", "arriving", "in_house", "upcoming"])
def test_open_stays_are_found_in_their_index(app: Flask, view: str) -> None:
    """A bound status would hide from the database that the index holds every match."""
    make_stay(make_accommodation())
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
        if "matching" in statement:
            sent.append((statement, given))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        reservation_lists.search(ReservationFilter.from_args({"view": view}))
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    statement, given = sent[0]
    assert "IN ('pending', 'pending_sync', 'confirmed', 'checked_in')" in statement
    db.session.rollback()
    # Which of several indexes is the cheapest turns on what the tests before have left in the
    # statistics; so this one stands alone, until the rollback.
    with db.engine.connect() as connection:
        for (name,) in connection.exec_driver_sql(OTHER_INDEXES).all():
            connection.exec_driver_sql(f"DROP INDEX {name}")
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql("EXPLAIN " + statement, given).scalars().all()
        connection.rollback()
    assert any("ix_reservations_open" in line for line in plan), plan


def test_every_stay_is_on_exactly_one_page(app: Flask) -> None:
    unit = make_accommodation()
    same = datetime(2026, 5, 1, 18, tzinfo=UTC)
    made = {make_stay(unit, check_in=same, created_at=same).id for _ in range(7)}
    for sort in reservation_lists.SORTS:
        seen = [
            row.reservation.id
            for page in ("1", "2", "3", "4")
            for row in reservation_lists.search(
                ReservationFilter.from_args({"page": page, "limit": "2", "sort": sort})
            ).items
        ]
        assert len(seen) == 7
        assert set(seen) == made


def test_a_page_beyond_the_end_is_empty_and_still_counts(app: Flask) -> None:
    make_stay()
    page = reservation_lists.search(ReservationFilter.from_args({"page": "9"}))
    assert (list(page.items), page.total, page.total_pages) == ([], 1, 1)
    none = reservation_lists.search(ReservationFilter.from_args({"source": "beds24"}))
    assert (list(none.items), none.total, none.total_pages) == ([], 0, 0)


def test_newest_first_unless_asked_otherwise(app: Flask) -> None:
    unit = make_accommodation()
    for n, guest in enumerate(["Bea", "Ana", "Caio"]):
        make_stay(
            unit,
            guest=guest,
            check_in=date(2026, 4, 20 - 4 * n),
            created_at=datetime(2026, 1, 1 + n, tzinfo=UTC),
        )
    assert guests() == ["Caio", "Ana", "Bea"]
    assert guests(sort="created_at", order="asc") == ["Bea", "Ana", "Caio"]
    assert guests(sort="check_in") == ["Caio", "Ana", "Bea"]
    assert guests(sort="-check_in") == ["Bea", "Ana", "Caio"]
    assert guests(sort="check_in", order="desc") == ["Bea", "Ana", "Caio"]
    assert guests(sort="guest") == ["Ana", "Bea", "Caio"]


def test_filters_narrow(app: Flask) -> None:
    one, two = make_accommodation(), make_accommodation()
    make_stay(one, guest="Ana", check_in=date(2026, 4, 1), nights=2)
    make_stay(two, guest="Bea", check_in=date(2026, 4, 10), status="cancelled")
    make_stay(two, guest="Caio", check_in=date(2026, 4, 20), status="pending", source="beds24")
    assert set(guests(status="cancelled,pending")) == {"Bea", "Caio"}
    assert guests(source="beds24") == ["Caio"]
    assert guests(property_id=str(one.property_id)) == ["Ana"]
    assert set(guests(accommodation_id=str(two.id))) == {"Bea", "Caio"}
    assert guests(**{"from": "2026-04-11"}) == ["Caio"]
    assert guests(to="2026-04-03") == ["Ana"]
    assert guests(to="2026-04-02") == []
    assert guests(property_id=str(uuid4())) == []


def test_views_use_the_day_of_each_property(app: Flask, clock: Clock) -> None:
    # 02:30 UTC: still the 9th in São Paulo, already the 10th in Lisbon.
    clock.set(datetime(2026, 3, 10, 2, 30, tzinfo=UTC))
    west = make_accommodation(make_property(timezone="America/Sao_Paulo"))
    east = make_accommodation(make_property(timezone="Europe/Lisbon"))
    for day in (9, 10):
        make_stay(west, guest=f"West {day}", check_in=date(2026, 3, day), nights=1)
        make_stay(east, guest=f"East {day}", check_in=date(2026, 3, day), nights=1)
    assert set(guests(view="arriving")) == {"West 9", "East 10"}
    assert set(guests(view="leaving")) == {"East 9"}
    assert set(guests(view="in_house")) == {"West 9", "East 9"}
    assert set(guests(view="upcoming")) == {"West 10"}


def test_views_sort_stays_by_what_they_are(app: Flask, clock: Clock) -> None:
    unit = make_accommodation()
    today = date(2026, 3, 10)
    for status in ("confirmed", "cancelled", "no_show", "checked_out", "checked_in", "failed"):
        make_stay(unit, guest=f"past {status}", check_in=date(2026, 2, 1), status=status)
        make_stay(unit, guest=f"now {status}", check_in=today - timedelta(days=1), status=status)
        make_stay(unit, guest=f"later {status}", check_in=date(2026, 4, 1), status=status)
    seen = {view: set(guests(view=view, limit="200")) for view in VIEWS}
    assert seen["active"] == {
        "now confirmed", "later confirmed",
        "past checked_in", "now checked_in", "later checked_in",
    }  # fmt: skip
    assert "past checked_in" in seen["in_house"]  # an overdue guest is still in the room
    assert "now cancelled" not in seen["in_house"]
    assert {"past confirmed", "past no_show", "now checked_out"} <= seen["past"]
    assert "past cancelled" not in seen["past"]
    assert seen["cancelled"] == {
        f"{when} {status}"
        for when in ("past", "now", "later")
        for status in ("cancelled", "failed")
    }
    counted = reservation_lists.count_views(ReservationFilter(view="past"))
    assert counted == {view: len(found) for view, found in seen.items()}


@pytest.mark.parametrize(
    "q",
    ["João", "joao", "JOAO SIL", "silva joao", "joao@exa", "example.org", "ZX-01", "zx", "5511",
     "+55 (11) 99999-8888", "11 99999"],
)  # fmt: skip
def test_search_finds_by_the_beginning_of_any_word(app: Flask, q: str) -> None:
    # Stored as the reservations service writes it: folded, whole and in parts.
    text = "joao silva joao@example.org 5511999998888 zx-01 example org zx 01"
    make_stay(guest="João Silva", search_text=text)
    make_stay(guest="Ana")
    expected = [] if q == "11 99999" else ["João Silva"]  # not the beginning of the number
    assert guests(q=q) == expected


@pytest.mark.parametrize(
    "q", ["'", "\\", "a'b", "!", "&", ":*", "(", "—", "%", "joao:*|ana", "<->", "x" * 200]
)
def test_no_search_breaks_the_query(app: Flask, q: str) -> None:
    make_stay(guest="Zoe")
    assert guests(q=q) == []


def test_search_query_is_made_of_words_only() -> None:
    assert search_query("José  d'Ávila") == "'jose':* & 'd':* & 'avila':*"
    assert search_query("—*!") is None


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"page": "0"}, "page"),
        ({"page": "-1"}, "page"),
        ({"page": "x"}, "page"),
        ({"page": "9" * 5000}, "page"),
        ({"page": "١"}, "page"),
        ({"limit": "201"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"status": "gone"}, "status"),
        ({"status": "confirmed,gone"}, "status"),
        ({"source": "airbnb"}, "source"),
        ({"property_id": "7"}, "property_id"),
        ({"accommodation_id": "x"}, "accommodation_id"),
        ({"from": "10/03/2026"}, "from"),
        ({"from": "20260310"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"from": "2026-03-10", "to": "2026-03-09"}, "to"),
        ({"view": "all"}, "view"),
        ({"sort": "pin"}, "sort"),
        ({"order": "up"}, "order"),
        ({"q": "a\0b"}, "q"),
        ({"q": "x" * 201}, "q"),
    ],
)
def test_a_bad_parameter_is_named(args: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        ReservationFilter.from_args(args)
    assert [error.field for error in refused.value.errors] == [field]


def test_a_filter_survives_its_url() -> None:
    filters = ReservationFilter.from_args(
        {"status": "confirmed,pending", "from": "2026-03-01", "q": "ana", "page": "3"}
    )
    args = filters.to_args()
    assert args == {
        "status": "confirmed,pending", "from": "2026-03-01", "q": "ana", "page": "3"
    }  # fmt: skip
    assert ReservationFilter.from_args(args) == filters
    assert "page" not in filters.to_args(page=1)


def test_one_stay_with_all_that_belongs_to_it(app: Flask) -> None:
    unit = make_accommodation()
    kind = make_room_type(make_property())
    stay = make_stay(unit, room_type_id=kind.id)
    row = reservation_lists.get(stay.id)
    assert row.reservation.id == stay.id
    assert row.accommodation is not None
    assert row.accommodation.id == unit.id
    assert row.property.id == unit.property_id
    assert row.room_type is not None
    assert row.pin.state == "no_mapping"
    with pytest.raises(NotFound):
        reservation_lists.get(uuid4())
