"""The board says of each room who has it and what is wrong, in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest

from app.models import Accommodation
from app.services import front_desk, room_board, room_calendar, room_rows
from app.services.room_board import Board, Show, Tile
from app.services.room_calendar import Look
from app.transaction import transaction
from tests.bookings import DESK
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_room_type, make_stay
from tests.web.conftest import statements
from tests.web.room_scenes import Rooms, day, make_block, rooms_of_a_day
from tests.web.scenes import TODAY

Statements = Callable[[], AbstractContextManager[list[str]]]

pytestmark = pytest.mark.usefixtures("app", "clock")
__all__ = ["statements"]


def tile(board: Board, number: str) -> Tile:
    return next(t for t in board.tiles.values() if t.room.row.number == number)


def numbers(board: Board) -> list[str]:
    return [t.room.row.number or "" for group in board.groups for t in group.tiles]


def shown(scene: Rooms, show: Show) -> list[str]:
    return numbers(room_board.board(scene.house.id, show=show))


def test_who_has_each_room() -> None:
    scene = rooms_of_a_day()
    found = room_board.board(scene.house.id)
    names = {
        number: stay.guest_name if (stay := tile(found, number).shown) else None
        for number in scene.rooms
    }
    assert names == {
        "101": "Beatriz Okamoto",
        "102": "Ana Beatriz Nogueira",
        "103": None,
        "104": "Duarte Menezes",
        "201": "Camille Dufour",
        "202": "Nils Aaltonen",
    }
    upcoming = tile(found, "103").upcoming
    assert upcoming is not None
    assert upcoming.guest_name == "Clara Vasconcelos"


def test_what_is_unusual() -> None:
    scene = rooms_of_a_day()
    found = room_board.board(scene.house.id)
    flags = ("is_late_in", "is_late_out", "is_urgent", "is_double", "is_free", "pin_is_wrong")
    said = {n: [f for f in flags if getattr(tile(found, n), f)] for n in scene.rooms}
    assert said == {
        "101": ["pin_is_wrong"],  # no lock
        "102": ["is_urgent", "pin_is_wrong"],
        "103": ["is_free"],
        "104": ["is_late_out", "pin_is_wrong"],
        "201": [],
        "202": ["is_late_in", "pin_is_wrong"],
    }
    assert str(tile(found, "103").trouble) == "low_battery"


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        (Show.ALL, ["101", "102", "103", "104", "201", "202"]),
        (Show.URGENT, ["102"]),
        (Show.READY, ["201", "202"]),
        (Show.DIRTY, ["102"]),
        (Show.OCCUPIED, ["101", "104"]),
        (Show.FREE, ["103"]),
        (Show.LATE, ["104", "202"]),
        (Show.CLOSED, []),
        (Show.LOCKS, ["103"]),
    ],
)
def test_the_tabs_and_their_counts(show: Show, expected: list[str]) -> None:
    scene = rooms_of_a_day()
    assert shown(scene, show) == expected
    assert room_board.board(scene.house.id).counts[show] == len(expected)


def test_groups_by_type_and_by_floor() -> None:
    scene = rooms_of_a_day()
    by_type = room_board.board(scene.house.id)
    assert [(g.kind, len(g.tiles)) for g in by_type.groups] == [("Standard", 4), ("Superior", 2)]
    assert by_type.has_floors
    by_floor = room_board.board(scene.house.id, by_floor=True)
    assert [(g.floor, len(g.tiles)) for g in by_floor.groups] == [(1, 4), (2, 2)]
    one = room_board.board(scene.house.id, room_type_id=scene.superior.id)
    assert numbers(one) == ["201", "202"]
    assert one.counts[Show.ALL] == 2


def test_maintenance_by_dates_closes_the_tile_for_those_nights() -> None:
    scene = rooms_of_a_day()
    make_block(scene.rooms["103"], 0, 2, reason="Paint")
    make_block(scene.rooms["201"], 5, 1)
    found = room_board.board(scene.house.id)
    assert tile(found, "103").is_closed
    assert not tile(found, "103").is_free
    assert not tile(found, "201").is_closed
    planned = tile(found, "201").planned
    assert planned is not None
    assert planned.start_date == day(5)
    assert shown(scene, Show.CLOSED) == ["103"]


def test_two_stays_in_one_night_are_a_conflict_a_turnover_is_not() -> None:
    scene = rooms_of_a_day()
    room = scene.rooms["201"]
    make_stay(room, check_in=day(2), guest="Turnover")
    assert not tile(room_board.board(scene.house.id), "201").is_double
    make_stay(room, check_in=day(1), nights=1, guest="Rival")
    assert tile(room_board.board(scene.house.id), "201").is_double


def test_arrivals_without_a_room_are_not_forgotten() -> None:
    scene = rooms_of_a_day()
    for offset in (0, 3):
        make_stay(
            scene.rooms["103"], check_in=day(offset), accommodation_id=None, guest=f"In {offset}"
        )
    waiting = room_board.board(scene.house.id).waiting
    assert [one.stay.guest_name for one in waiting] == ["In 0"]


def test_where_nobody_is_ever_checked_in_nobody_is_late() -> None:
    """Guests who let themselves in are in their rooms, whatever their status says."""
    house = make_property()
    room, other = make_accommodation(house), make_accommodation(house)
    for n in range(3):
        make_stay(room, check_in=day(-10 + 2 * n), nights=2)
    late = make_stay(room, check_in=day(-2), nights=4)
    found = room_board.board(house.id).tiles[room.id]
    assert (found.is_late_in, found.is_begun) == (False, True)
    front_desk.check_in(late.id, actor=DESK)
    make_stay(other, check_in=day(-1), nights=3)
    assert room_board.board(house.id).tiles[other.id].is_late_in


def test_the_day_is_the_house_s_own(clock: Clock) -> None:
    """22:30 UTC is the same evening in São Paulo and already tomorrow in Tokyo."""
    clock.set(datetime(2026, 3, 10, 22, 30, tzinfo=UTC))
    far = make_accommodation(make_property(timezone="Asia/Tokyo"))
    make_stay(far, check_in=TODAY, nights=3)
    assert room_board.board(far.property_id).tiles[far.id].is_late_in


def test_each_kind_of_news_changes_the_version() -> None:
    scene = rooms_of_a_day()
    seen = {room_rows.version(scene.house.id)}

    def differs() -> bool:
        now = room_rows.version(scene.house.id)
        fresh = now not in seen
        seen.add(now)
        return fresh

    assert not differs()
    make_stay(scene.rooms["103"], check_in=TODAY)
    assert differs()
    make_block(scene.rooms["103"], 4, 1)
    assert differs()
    with transaction() as session:
        session.get_one(Accommodation, scene.rooms["103"].id).housekeeping = "in_progress"
    assert differs()
    assert room_rows.version(scene.house.id, "floor") not in seen


def test_three_hundred_rooms_take_eight_statements_at_most(statements: Statements) -> None:
    house = make_property()
    kind = make_room_type(house, total_units=300)
    with transaction() as session:
        session.add_all(
            Accommodation(
                property_id=house.id, room_type_id=kind.id, name=f"Room {n}", number=str(100 + n)
            )
            for n in range(300)
        )
    rooms = room_board.board(house.id).tiles
    for room in [t.room.row for t in rooms.values()][:40]:
        make_stay(room, check_in=TODAY)
        make_stay(room, check_in=day(3))
    with statements() as seen:
        assert len(room_board.board(house.id).tiles) == 300
    assert len(seen) <= 8
    with statements() as seen:
        chart = room_calendar.chart(house.id, TODAY, 28)
    assert len(seen) <= 8
    assert sum(len(group.lines) for group in chart.groups) == 300
    assert chart.free[0] == 260


class TestCalendar:
    def look(self, scene: Rooms, number: str) -> list[tuple[str | None, str, bool]]:
        chart = room_calendar.chart(scene.house.id, day(-3), 14)
        lines = {line.room.row.number: line for group in chart.groups for line in group.lines}
        return [
            (bar.what.stay.guest_name if bar.what.stay else None, str(bar.what.look), double)
            for bar in sorted(lines[number].bars, key=lambda b: (b.first, b.last))
            for double in [bar.what.is_double]
        ]

    def test_each_bar_says_what_it_means_today(self) -> None:
        scene = rooms_of_a_day()
        make_block(scene.rooms["103"], 6, 2, reason="Deck")
        looks = {n: [look for _, look, _ in self.look(scene, n)] for n in scene.rooms}
        assert looks == {
            "101": ["house"],
            "102": ["arriving"],
            "103": ["booked", "closed"],
            "104": ["over"],
            "201": ["arriving"],
            "202": ["late"],
        }

    def test_a_hold_and_a_guest_who_left_early(self) -> None:
        scene = rooms_of_a_day()
        make_stay(
            scene.rooms["103"],
            check_in=day(6),
            status="pending_sync",
            hold_expires_at=datetime(2026, 3, 10, 12, 30, tzinfo=UTC),
        )
        front_desk.check_out(scene.stays["guest"].id, actor=DESK)
        assert [look for _, look, _ in self.look(scene, "103")] == ["booked", "hold"]
        chart = room_calendar.chart(scene.house.id, day(-3), 14)
        line = next(x for g in chart.groups for x in g.lines if x.room.row.number == "101")
        assert [(b.what.look, b.last) for b in line.bars] == [(Look.OUT, TODAY)]

    def test_both_of_two_rivals_are_marked_and_have_a_row(self) -> None:
        scene = rooms_of_a_day()
        make_stay(scene.rooms["201"], check_in=day(1), nights=2, guest="Rival")
        assert self.look(scene, "201") == [
            ("Camille Dufour", "arriving", True),
            ("Rival", "booked", True),
        ]
        chart = room_calendar.chart(scene.house.id, TODAY, 7)
        line = next(x for g in chart.groups for x in g.lines if x.room.row.number == "201")
        assert [[c.bar.what.stay.guest_name for c in row if c.bar] for row in line.rows] == [
            ["Camille Dufour"],
            ["Rival"],
        ]
        assert chart.doubles == 1

    def test_free_rooms_count_closed_ones_and_stays_that_need_one(self) -> None:
        scene = rooms_of_a_day()
        before = room_calendar.chart(scene.house.id, TODAY, 7).free
        assert before[0] == 2  # 103, and 104 whose guest's nights are over
        make_block(scene.rooms["103"], 0, 1)
        make_stay(scene.rooms["103"], check_in=TODAY, nights=1, accommodation_id=None)
        assert room_calendar.chart(scene.house.id, TODAY, 7).free[0] == before[0] - 2

    def test_the_last_morning_belongs_to_the_view_and_the_first_too(self) -> None:
        scene = rooms_of_a_day()
        chart = room_calendar.chart(scene.house.id, TODAY + timedelta(days=2), 7)
        line = next(x for g in chart.groups for x in g.lines if x.room.row.number == "101")
        first = line.rows[0][0]
        assert (first.span, first.from_before, first.to_after) == (1, True, False)
