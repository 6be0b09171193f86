"""Mappings hold what the operator said, once on each side (CHAN-17…45)."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask

from app.errors import Conflict, Invalid, NotFound
from app.models import (
    Property,
)
from app.services import (
    channel_mappings,
)
from app.services.channel_completeness import Ratio, completeness
from app.services.channel_mappings import ChannelMappingChanges, NewChannelMapping
from app.transaction import transaction
from tests.channel_mappings import (
    ANA,
    change,
    columns,
    complaints,
    connect,
    deeds,
    kind,
    mapped,
    mappings_of,
    race,
    unit,
)
from tests.events import make_event
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_property,
    make_room_type,
    reload,
)

pytestmark = pytest.mark.usefixtures("app")

# Mapping


def test_a_room_is_stored_in_one_spelling_and_written_to_its_unit() -> None:
    connection = connect()
    ipe = unit(connection)
    row = mapped(connection, ipe, " 610011 ", metadata={"note": "sea view"}).mapping
    assert (row.external_id, row.meta, row.is_active) == ("610011:1", {"note": "sea view"}, True)
    assert columns(ipe) == ("610011", "1")
    assert deeds() == [("create", "ana@example.org")]
    assert deeds("accommodation") == [("update", "ana@example.org")]


@pytest.mark.parametrize(
    ("of", "external_id", "stored"),
    [("room_type", "610011", "610011"), ("rate", "610011:2", "610011:2")],
)
def test_room_types_are_mapped_as_sold_and_as_priced(
    of: str, external_id: str, stored: str
) -> None:
    connection = connect()
    row = mapped(connection, kind(connection), external_id, of).mapping
    assert channel_mappings.get(row.id).external_id == stored


def test_a_property_is_mapped_to_the_one_connected() -> None:
    connection = connect()
    row = mapped(connection, connection.property_id, "51001", "property").mapping
    assert row.internal_id == connection.property_id
    with pytest.raises(Invalid) as refused:
        mapped(connect(), connection.property_id, "51002", "property")
    assert "another property" in complaints(refused.value)["internal_id"]


def test_the_thing_must_be_of_the_right_kind_and_house() -> None:
    connection = connect()
    ours, elsewhere = unit(connection), make_accommodation()
    for thing, of, said in (
        (elsewhere, "room", "belongs to another property"),
        (kind(connection), "room", "no such accommodation"),
        (ours, "room_type", "no such room type"),
        (ours, "rate", "no such room type"),
        (make_room_type(), "rate", "belongs to another property"),
        (UUID(NO_SUCH_ID), "room", "no such accommodation"),
        (ours, "property", "no such property"),
    ):
        with pytest.raises(Invalid) as refused:
            mapped(connection, thing, "610011", of)
        assert said in complaints(refused.value)["internal_id"]
    assert mappings_of(ours) == mappings_of(elsewhere) == []


def test_every_wrong_id_is_named_with_what_is_expected() -> None:
    connection = connect()
    with pytest.raises(Invalid) as refused:
        mapped(connection, UUID(NO_SUCH_ID), "suite 4", "room_type")
    assert complaints(refused.value) == {
        "internal_id": "no such room type",
        "external_id": "must be Beds24's room id, a number like 610011",
    }


def test_stays_needs_no_mapping_and_an_unknown_connection_is_none() -> None:
    stays = connect(channel="stays")
    with pytest.raises(Invalid) as refused:
        mapped(stays, unit(stays), "610011")
    assert "stays_id" in complaints(refused.value)["channel_property_id"]
    new = NewChannelMapping(
        channel_property_id=UUID(NO_SUCH_ID),
        mapping_type="room",
        internal_id=UUID(NO_SUCH_ID),
        external_id="610011",
    )
    with pytest.raises(Invalid) as refused:
        channel_mappings.create(new, actor=ANA)
    assert complaints(refused.value) == {"channel_property_id": "no such channel property"}


def test_a_duplicate_names_its_side() -> None:
    connection = connect()
    ipe, cedro = unit(connection, name="Ipê"), unit(connection, name="Cedro")
    mapped(connection, ipe, "610011:1")
    with pytest.raises(Conflict) as refused:
        mapped(connection, ipe, "610011:2")
    assert complaints(refused.value) == {"internal_id": "Ipê is mapped to 610011:1 already"}
    with pytest.raises(Conflict) as refused:
        mapped(connection, cedro, "610011")
    assert complaints(refused.value) == {"external_id": "Ipê is mapped to 610011:1 already"}
    mapped(connection, cedro, "610012")
    with pytest.raises(Conflict) as refused:
        mapped(connection, cedro, "610011:1")
    assert list(complaints(refused.value)) == ["internal_id", "external_id"]
    assert columns(cedro) == ("610012", "1")


def test_the_same_ids_may_stand_in_other_types_and_connections() -> None:
    connection, other = connect(), connect()
    double = kind(connection)
    mapped(connection, double, "610011", "room_type")
    mapped(connection, double, "610011", "rate")
    mapped(other, kind(other), "610011", "room_type")
    assert mappings_of(double) == [("610011", True), ("610011", True)]


def test_a_unit_that_an_unconnected_house_has_is_not_taken_from_it() -> None:
    connection = connect()
    make_accommodation(name="Attic", beds24_room_id="610011")
    ipe = unit(connection)
    with pytest.raises(Conflict) as refused:
        mapped(connection, ipe, "610011:1")
    assert complaints(refused.value) == {"external_id": "Attic has this unit already"}
    assert mappings_of(ipe) == []


# Taking away and bringing back (CHAN-32, CHAN-37)


def test_a_mapping_taken_away_stays_and_comes_back_in_its_row() -> None:
    connection = connect()
    ipe = unit(connection)
    row = mapped(connection, ipe, "610011").mapping
    channel_mappings.delete(row.id, actor=ANA)
    assert not channel_mappings.get(row.id).is_active
    assert columns(ipe) == (None, None)
    channel_mappings.delete(row.id, actor=ANA)
    assert [action for action, _ in deeds()] == ["create", "delete"]
    again = mapped(connection, ipe, "610011:3", metadata={"new": True}).mapping
    assert (again.id, again.external_id, again.is_active) == (row.id, "610011:3", True)
    assert columns(ipe) == ("610011", "3")
    assert [action for action, _ in deeds()] == ["create", "delete", "revive"]


def test_a_row_held_by_the_other_side_comes_back_for_the_new_one() -> None:
    connection = connect()
    ipe, cedro = unit(connection), unit(connection)
    row = mapped(connection, ipe, "610011").mapping
    channel_mappings.delete(row.id, actor=ANA)
    again = mapped(connection, cedro, "610011").mapping
    assert (again.id, again.internal_id) == (row.id, cedro.id)
    assert (columns(ipe), columns(cedro)) == ((None, None), ("610011", "1"))


def test_two_rows_taken_away_make_room_for_one() -> None:
    connection = connect()
    ipe, cedro = unit(connection), unit(connection)
    first = mapped(connection, ipe, "610011").mapping
    second = mapped(connection, cedro, "610012").mapping
    for row in (first, second):
        channel_mappings.delete(row.id, actor=ANA)
    crossed = mapped(connection, ipe, "610012").mapping
    assert crossed.id == first.id
    assert mappings_of(ipe) == [("610012:1", True)]
    assert mappings_of(cedro) == []
    assert [action for action, _ in deeds()][-2:] == ["remove", "revive"]


def test_a_change_onto_a_key_of_a_row_taken_away_keeps_the_changed_one() -> None:
    connection = connect()
    ipe, cedro = unit(connection), unit(connection)
    gone = mapped(connection, cedro, "610012").mapping
    channel_mappings.delete(gone.id, actor=ANA)
    row = mapped(connection, ipe, "610011").mapping
    assert change(row, external_id="610012").id == row.id
    with pytest.raises(NotFound):
        channel_mappings.get(gone.id)


# Changing


def test_another_external_id_moves_the_units_columns() -> None:
    connection = connect()
    ipe = unit(connection)
    row = mapped(connection, ipe, "610011").mapping
    changed = change(row, external_id="610011:4")
    assert (changed.external_id, columns(ipe)) == ("610011:4", ("610011", "4"))


def test_another_unit_takes_the_ids_over() -> None:
    connection = connect()
    ipe, cedro = unit(connection), unit(connection)
    row = mapped(connection, ipe, "610011:4").mapping
    change(row, internal_id=cedro.id)
    assert (columns(ipe), columns(cedro)) == ((None, None), ("610011", "4"))


def test_a_change_can_take_away_and_bring_back() -> None:
    connection = connect()
    ipe = unit(connection)
    row = mapped(connection, ipe, "610011:4").mapping
    assert not change(row, is_active=False).is_active
    assert columns(ipe) == (None, None)
    assert change(row, is_active=True).is_active
    assert columns(ipe) == ("610011", "4")
    before = len(deeds())
    change(row, metadata=row.meta, external_id="610011:4")
    assert len(deeds()) == before, "nothing changed, nothing is said"


def test_a_change_is_refused_as_a_new_mapping_is() -> None:
    connection = connect()
    ipe, cedro = unit(connection, name="Ipê"), unit(connection)
    row = mapped(connection, ipe, "610011").mapping
    other = mapped(connection, cedro, "610012").mapping
    with pytest.raises(Conflict) as refused:
        change(other, external_id="610011:1")
    assert complaints(refused.value) == {"external_id": "Ipê is mapped to 610011:1 already"}
    with pytest.raises(Invalid):
        change(other, external_id="x")
    for fixed in ({"mapping_type": "rate"}, {"channel_property_id": connect().id}):
        with pytest.raises(Invalid) as invalid:
            change(row, **fixed)
        assert list(complaints(invalid.value)) == list(fixed)
    assert (columns(ipe), columns(cedro)) == (("610011", "1"), ("610012", "1"))


def test_who_has_read_an_older_one_is_told() -> None:
    connection = connect()
    row = mapped(connection, unit(connection), "610011").mapping
    read = row.updated_at.replace(microsecond=row.updated_at.microsecond // 1000 * 1000)
    changed = change(row, external_id="610012", updated_at=read)
    with pytest.raises(Conflict, match="read it again"):
        change(row, external_id="610013", updated_at=read)
    assert reload(row).external_id == changed.external_id == "610012:1"


# Races


def test_of_two_at_once_one_wins_and_the_other_is_told(app: Flask) -> None:
    connection = connect()
    for n in range(1, 6):
        ipe, cedro = unit(connection), unit(connection)
        refused = race(
            app,
            lambda u=ipe, n=n: mapped(connection, u, f"610011:{n}"),
            lambda u=cedro, n=n: mapped(connection, u, f"610011:{n}"),
        )
        losers = [each for each in refused if each is not None]
        assert len(losers) == 1
        assert isinstance(losers[0], Conflict)
        said = complaints(losers[0])
        assert list(said) == ["external_id"]
        assert f"is mapped to 610011:{n} already" in str(said), "it says whose it is"
        assert sorted(map(len, (mappings_of(ipe), mappings_of(cedro)))) == [0, 1]
        assert sorted((columns(ipe), columns(cedro)), key=str)[0] == ("610011", str(n))


def test_two_changes_at_once_both_stay(app: Flask) -> None:
    """No row but the mapping's own stands between two changes of a room type's."""
    connection = connect()
    for n in range(1, 9):
        row = mapped(connection, kind(connection), f"61001{n}", "room_type").mapping
        race(
            app,
            lambda r=row, n=n: change(r, external_id=f"61002{n}"),
            lambda r=row, n=n: change(r, metadata={"n": n}),
        )
        now = reload(row)
        assert (now.external_id, now.meta) == (f"61002{n}", {"n": n})


# Lists, completeness, what waits


def test_a_list_is_filtered_searched_and_newest_first() -> None:
    connection, other = connect(), connect()
    ipe, cedro = unit(connection, name="Ipê"), unit(connection, name="Cedro 100%")
    first = mapped(connection, ipe, "610011").mapping
    second = mapped(connection, cedro, "610012").mapping
    third = mapped(connection, kind(connection, name="Double"), "610011", "rate").mapping
    foreign = mapped(other, unit(other), "99").mapping
    channel_mappings.delete(second.id, actor=ANA)

    def ids(**args: str) -> list[UUID]:
        return [row.id for row in channel_mappings.search(args).items]

    assert ids() == [foreign.id, third.id, second.id, first.id]
    assert ids(channel_property_id=str(connection.id)) == [third.id, second.id, first.id]
    assert ids(mapping_type="rate") == [third.id]
    assert ids(is_active="false") == [second.id]
    assert ids(q="610011") == [third.id, first.id]
    assert ids(q="ipê") == [first.id]
    assert ids(q="100%") == [second.id]
    assert ids(sort="external_id", limit="2", page="2") == [second.id, foreign.id]
    with pytest.raises(Invalid):
        ids(mapping_type="house")


def test_completeness_counts_what_is_sold() -> None:
    full, empty, stays = connect(), connect(), connect(channel="stays")
    double, single = kind(full), kind(full)
    rooms = [unit(full) for _ in range(3)]
    mapped(full, rooms[0], "610011:1")
    mapped(full, rooms[1], "610011:2")
    mapped(full, unit(full, is_active=False), "610011:9")
    mapped(full, double, "610011", "room_type")
    mapped(full, single, "610012", "room_type")
    mapped(full, double, "610011:1", "rate")
    gone = mapped(full, single, "610012:1", "rate").mapping
    channel_mappings.delete(gone.id, actor=ANA)
    unit(stays, stays_id="x"), unit(stays, stays_id=None)
    with transaction() as session:
        found = completeness(session, [full.id, empty.id, stays.id])
    assert found[full.id].rooms == Ratio(2, 3)
    assert found[full.id].room_types == Ratio(2, 2)
    assert found[full.id].rates == Ratio(1, 2)
    assert found[empty.id].rooms == found[empty.id].rates == Ratio(0, 0)
    assert (found[stays.id].rooms, found[stays.id].rates) == (Ratio(1, 2), Ratio(0, 0))


@pytest.mark.parametrize(
    ("ratio", "percentage"),
    [
        (Ratio(25, 30), 83.3),
        (Ratio(0, 0), 0.0),
        (Ratio(2, 3), 66.7),
        (Ratio(9999, 10000), 99.9),
        (Ratio(30, 30), 100.0),
    ],
)
def test_a_percentage_has_one_decimal_and_is_whole_only_when_all_is(
    ratio: Ratio, percentage: float
) -> None:
    assert ratio.percentage == percentage


def test_a_mapping_names_the_events_that_waited_for_its_room() -> None:
    connection = connect()
    with transaction() as session:
        house = session.get_one(Property, connection.property_id)

    def failed(room: str | None, status: str = "failed", at: Property = house) -> UUID:
        return make_event(status, house=at, source="beds24", waiting_for=room).id

    older, newer = failed("610011"), failed("610011")
    failed("610012"), failed(None), failed("610011", "ignored")
    failed("610011", at=make_property())
    ipe = unit(connection)
    found = mapped(connection, ipe, "610011:2")
    assert found.waiting_event_ids == [older, newer]
    sold = mapped(connection, kind(connection), "610011", "room_type")
    assert sold.waiting_event_ids == [older, newer]
    priced = mapped(connection, kind(connection), "610011", "rate")
    assert priced.waiting_event_ids == []
    away = ChannelMappingChanges(is_active=False)
    assert channel_mappings.update(found.mapping.id, away, actor=ANA).waiting_event_ids == []
    back = ChannelMappingChanges(is_active=True)
    assert channel_mappings.update(found.mapping.id, back, actor=ANA).waiting_event_ids == [
        older,
        newer,
    ]
