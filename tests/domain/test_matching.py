"""app/domain/name_matching: the right lock, never the neighbour's (MATCH-01, MATCH-05, C-51)."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.domain.name_matching import Confidence, Door, Pair, Room, match
from app.domain.name_matching.assignment import assign
from app.domain.name_matching.comparing import compare, distance, veto
from app.domain.name_matching.names import read
from tests.domain.matching_bench import Row, corpus, plain, similarity
from tests.domain.test_matching_names import NAMES

ROWS = corpus()
SAME = [row for row in ROWS if row.is_same]
DIFFERENT = [row for row in ROWS if not row.is_same]


def pairs(rooms: list[str], doors: list[str], threshold: float = 0.8) -> list[Pair]:
    return match(
        [Room(each) for each in rooms], [Door(each) for each in doors], plain, threshold=threshold
    ).pairs()


def only(room: str, door: str, threshold: float = 0.8) -> Pair | None:
    found = pairs([room], [door], threshold)
    return found[0] if found else None


# The corpus


def test_the_corpus_is_large_and_in_three_languages() -> None:
    assert len(ROWS) >= 150
    counts: dict[tuple[str, bool], int] = defaultdict(int)
    for row in ROWS:
        counts[row.language, row.is_same] += 1
    assert min(counts.values()) >= 15
    assert {language for language, _ in counts} == {"pt", "en", "es"}


@pytest.mark.parametrize("row", DIFFERENT, ids=lambda row: f"{row.room.name}|{row.door.name}")
def test_the_neighbours_lock_is_not_proposed(row: Row) -> None:
    """Not even when it is the only lock left, at any threshold, in either place."""
    for threshold in (0.8, 0.9, 1.0):
        assert match([row.room], [row.door], plain, threshold=threshold).pairs() == []
    assert only(row.door.name, row.room.name) is None
    found = match([row.room], [row.door], plain, threshold=0.0).pairs()
    assert all(pair.confidence is not Confidence.HIGH for pair in found)


def test_true_pairs_are_found_one_by_one() -> None:
    missed = [row for row in SAME if not match([row.room], [row.door], plain).pairs()]
    assert len(missed) <= 0.05 * len(SAME), missed


def test_true_pairs_are_found_among_all_of_their_house() -> None:
    found = 0
    houses = {row.house for row in SAME}
    for house in sorted(houses):
        rows = [row for row in SAME if row.house == house]
        # The locks come in another order, so that the order of the lists is no help.
        doors = [row.door for row in reversed(rows)]
        for pair in match([row.room for row in rows], doors, plain).pairs():
            is_right = pair.door == len(rows) - 1 - pair.room
            assert is_right, (rows[pair.room], doors[pair.door])
            found += is_right
    assert found >= 0.95 * len(SAME)


def test_nothing_wrong_is_sure_among_all_houses_together() -> None:
    rooms, doors = [row.room for row in ROWS], [row.door for row in ROWS]
    right = {(row.room.name, row.door.name) for row in SAME}
    sure = [
        pair for pair in match(rooms, doors, plain).pairs() if pair.confidence is Confidence.HIGH
    ]
    assert len(sure) >= 0.4 * len(SAME)
    for pair in sure:
        ours, theirs = rooms[pair.room], doors[pair.door]
        # The corpus repeats doors across houses; a sure pair has at least the same name in full.
        assert (ours.name, theirs.name) in right or (
            read(ours.name).key == read(theirs.name).key
            and veto(read(ours.name), read(theirs.name)) is None
            and pair.score >= 0.95
        ), (ours, theirs)


# The veto


@given(NAMES, NAMES)
def test_other_numbers_never_meet(ours: str, theirs: str) -> None:
    assume(read(ours).key != read(theirs).key)
    assert veto(read(ours), read(theirs)) == "numbers"
    assert pairs([ours], [theirs], 0.0) == []


@given(NAMES, NAMES)
def test_the_veto_and_the_score_are_symmetric(ours: str, theirs: str) -> None:
    mine, other = read(ours), read(theirs)
    assert veto(mine, other) == veto(other, mine)
    if veto(mine, other) is None:
        alike = similarity(mine.core, other.core)
        there, back = compare(mine, other, alike), compare(other, mine, alike)
        assert there.score == pytest.approx(back.score)
        assert there.certain == back.certain
        assert 0.0 <= there.score <= 1.0


@given(NAMES)
def test_a_name_is_its_own_best_match(text: str) -> None:
    name = read(text)
    found = only(text, text)
    if name.says_something:
        assert found is not None
        assert found.score == 1.0
        assert found.confidence is Confidence.HIGH
    else:
        assert found is None


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from(["Apto", "Room", "Hab.", "Casa"]))
def test_the_floor_below_is_never_offered(ours: int, theirs: int, kind: str) -> None:
    found = only(f"{kind} {ours}", f"Fechadura {kind} {theirs:04}")
    assert (found is not None) == (ours == theirs)


# All together


def test_the_order_of_the_lists_means_nothing() -> None:
    rooms = ["Apto 101", "Apto 102", "Suíte Master", "Suíte Master 2"]
    doors = ["Porta 101", "Lock 102", "Suite master", "SUITE MASTER 02"]
    for shuffled in permutations(range(4)):
        found = pairs(rooms, [doors[at] for at in shuffled])
        assert {(pair.room, shuffled[pair.door]) for pair in found} == {(at, at) for at in range(4)}
        assert {pair.confidence for pair in found} == {Confidence.HIGH}


def test_the_best_for_all_beats_the_best_for_the_first() -> None:
    """Row by row, the first room would take the only lock that the second can have."""
    rooms, doors = ["Quarto 5", "Suíte 5 Coral"], ["Quarto 5 Coral", "Quarto 5 Azul"]
    assert only(rooms[0], doors[0]) is not None
    assert only(rooms[1], doors[1]) is None
    assert {(pair.room, pair.door) for pair in pairs(rooms, doors)} == {(0, 1), (1, 0)}


def test_an_exact_name_is_not_given_away_for_two_so_so_pairs() -> None:
    found = pairs(["Apto 5 Coral", "Apto 5"], ["Apto 5 Coral", "Apto 5 Coral Reef"])
    assert (found[0].room, found[0].door, found[0].confidence) == (0, 0, Confidence.HIGH)


def test_two_houses_with_a_101_are_told_apart_by_the_house_only() -> None:
    rooms = [Room("101", None, "Casa do Rio"), Room("101", None, "Pousada Sol")]
    unclear = match(rooms, [Door("101"), Door("Porta 101")], plain).pairs()
    assert {pair.confidence for pair in unclear} == {Confidence.AMBIGUOUS}
    assert unclear[0].rival_doors
    assert unclear[0].rival_rooms
    doors = [Door("Sol 101"), Door("101 Casa do Rio")]
    clear = match(rooms, doors, plain).pairs()
    assert {(pair.room, pair.door, pair.confidence) for pair in clear} == {
        (0, 1, Confidence.HIGH),
        (1, 0, Confidence.HIGH),
    }
    placed = [Door("101", "Pousada Sol, térreo"), Door("101", "Casa do Rio")]
    assert {(pair.room, pair.door) for pair in match(rooms, placed, plain).pairs()} == {
        (0, 1),
        (1, 0),
    }


def test_what_is_left_over_is_not_sure() -> None:
    rooms = [Room("101", None, "Casa do Rio"), Room("101", None, "Pousada Sol")]
    found = match(rooms, [Door("Casa do Rio 101"), Door("101")], plain).pairs()
    assert [(pair.room, pair.door, pair.confidence) for pair in found] == [
        (0, 0, Confidence.HIGH),
        (1, 1, Confidence.MEDIUM),
    ]


def test_a_lock_of_another_house_is_never_offered() -> None:
    rooms = [Room("101", None, "Casa do Rio"), Room("205", None, "Pousada Sol")]
    assert match(rooms, [Door("Pousada Sol 101")], plain, threshold=0.0).pairs() == []
    assert match(rooms, [Door("101", "Pousada Sol")], plain, threshold=0.0).pairs() == []


def test_a_room_may_bear_another_houses_name() -> None:
    rooms = [Room("Suíte Mirante", None, "Casa Velha"), Room("1", None, "Pousada Mirante")]
    (found,) = match(rooms, [Door("Suite Mirante")], plain).pairs()
    assert (found.room, found.door) == (0, 0)


def test_number_and_location_help_but_lift_no_veto() -> None:
    room = Room("Garça", "A1")
    (found,) = match([room], [Door("A1 Garça")], plain).pairs()
    assert found.score == 0.95
    (found,) = match([Room("Studio", "2"), Room("Studio", "1")], [Door("Studio 1")], plain).pairs()
    assert (found.room, found.confidence) == (1, Confidence.MEDIUM)
    (found,) = match([Room("Quarto Jasmim", "101")], [Door("Fechadura 101")], plain).pairs()
    assert found.confidence is Confidence.MEDIUM
    assert match([Room("Quarto Jasmim", "101")], [Door("101 Azul")], plain).pairs() == []
    (found,) = match([Room("Azulejo 1", "11")], [Door("11 Azulejo 1")], plain).pairs()
    assert found.confidence is Confidence.HIGH
    assert match([Room("Azulejo 1", "11")], [Door("Fechadura 1")], plain).pairs() == []
    assert match([Room("Apto 101", "102")], [Door("Apto 102")], plain, threshold=0.0).pairs() == []
    (found,) = match([Room("Apto 101", "102")], [Door("Apto 101")], plain).pairs()
    assert found.confidence is Confidence.MEDIUM
    (found,) = match([Room("Apto 7")], [Door("Smart Lock", "Apto 7")], plain).pairs()
    assert found.confidence is Confidence.MEDIUM
    lies = Door("Bloco A 12", "Bloco B")
    (found,) = match([Room("Bloco A 12")], [lies], plain).pairs()
    assert found.confidence is Confidence.MEDIUM


def test_the_third_lock_need_not_be_on_the_third_door() -> None:
    assert only("Quarto 3", "Smart Lock 3").confidence is Confidence.MEDIUM  # type: ignore[union-attr]
    assert only("Quarto 303", "Smart Lock 303").confidence is Confidence.HIGH  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["Room 12", "101", "#7", "A", "B2", "Quarto 1", "Studio"])
def test_generic_names_match(name: str) -> None:
    """C-51: hotels name rooms so."""
    found = only(name, name)
    assert found is not None
    assert found.confidence is Confidence.HIGH


@pytest.mark.parametrize("name", ["", "  ", "Fechadura", "Smart Lock", "Porta do", "!?"])
def test_names_that_say_nothing_match_nothing(name: str) -> None:
    assert pairs([name], [name, "Apto 1"], 0.0) == []
    assert pairs([], [name]) == []
    assert pairs([name], []) == []


def test_the_threshold_and_the_number_of_proposals() -> None:
    rooms = [Room("Apto 5")]
    doors = [Door("Apto 5"), Door("Apto 5 Coral"), Door("Quarto 5"), Door("Apto 6")]
    found = match(rooms, doors, plain, threshold=0.5)
    assert [pair.door for pair in found.pairs()] == [0]
    assert [pair.door for pair in found.pairs(5)] == [0, 2, 1]
    assert [pair.door for pair in found.for_room(0, 5)] == [0, 2, 1]
    assert [pair.door for pair in found.for_room(0, 2)] == [0, 2]
    assert [pair.door for pair in match(rooms, doors, plain, threshold=0.95).for_room(0, 5)] == [0]


def test_no_lock_is_proposed_twice() -> None:
    rooms = [Room("Apto 5", None, "Sul"), Room("Apto 5", None, "Norte")]
    found = match(rooms, [Door("Apto 5")], plain).pairs(5)
    assert [(pair.door, pair.confidence) for pair in found] == [(0, Confidence.AMBIGUOUS)]


def test_a_lock_that_is_clearly_anothers_is_not_among_a_rooms() -> None:
    rooms = [Room("Apto 5"), Room("Suíte 5")]
    found = match(rooms, [Door("Suite 5")], plain)
    assert found.for_room(0, 5) == []
    assert len(found.for_room(1, 5)) == 1


def test_a_dismissed_pair_stays_away_and_is_no_rival() -> None:
    rooms, doors = [Room("Apto 5")], [Door("Apto 5"), Door("Ap 5")]
    assert match(rooms, doors, plain).pairs()[0].confidence is Confidence.AMBIGUOUS
    (found,) = match(rooms, doors, plain, dismissed={(0, 0)}).pairs()
    assert (found.door, found.confidence) == (1, Confidence.HIGH)


def test_hundreds_of_equal_names_are_ambiguous_and_quick() -> None:
    found = pairs(["Studio 1"] * 300, ["Studio 1"] * 300)
    assert found
    assert {pair.confidence for pair in found} == {Confidence.AMBIGUOUS}


@settings(deadline=None)
@given(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6), st.sampled_from([0.5, 0.8, 0.9]))
def test_whatever_the_names(rooms: list[str], doors: list[str], threshold: float) -> None:
    found = pairs(rooms, doors, threshold)
    assert len({pair.room for pair in found}) == len({pair.door for pair in found}) == len(found)
    for pair in found:
        ours, theirs = read(rooms[pair.room]), read(doors[pair.door])
        assert ours.key == theirs.key
        assert threshold - 1e-4 <= pair.score <= 1.0
        if pair.confidence is Confidence.HIGH:
            assert pair.score >= 0.9
            assert not pair.rival_doors
            assert not pair.rival_rooms
            same = [each for each in rooms if read(each) == ours]
            assert len(same) == 1


# The tools


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_the_distance_is_a_distance(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert distance(a, b) <= max(len(a), len(b))


def best_sum(weights: dict[int, dict[int, float]]) -> float:
    """The greatest sum there is, by trying everything."""
    if not weights:
        return 0.0
    (_, columns), *rest = weights.items()
    best = best_sum(dict(rest))
    for column, weight in columns.items():
        others = {r: {c: w for c, w in each.items() if c != column} for r, each in rest}
        best = max(best, weight + best_sum(others))
    return best


@settings(deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 5),
        st.dictionaries(st.integers(0, 5), st.floats(0.5, 1.06), max_size=5),
        max_size=6,
    )
)
def test_the_assignment_is_the_best_there_is(weights: dict[int, dict[int, float]]) -> None:
    found = assign(weights)
    assert len(set(found.values())) == len(found)
    total = sum(weights[row][column] for row, column in found.items())
    assert total == pytest.approx(best_sum(weights))
