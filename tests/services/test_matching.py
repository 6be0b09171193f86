"""app/services/matching.py: what is proposed, what applying does (MATCH-01…04, C-51)."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event, select

from app.errors import Conflict, Invalid, NotFound
from app.extensions import db
from app.models import (
    Accommodation,
    AuditEntry,
    Lock,
    LockMapping,
    MappingValidationLog,
    MatchDismissal,
    PinJob,
)
from app.services import match_history, matching
from app.services.audit import SYSTEM, Actor
from app.services.matching import MatchArgs, Suggestion
from app.transaction import transaction
from tests.conftest import Clock
from tests.domain.matching_bench import plain
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_stay,
    make_user,
    reload,
)


def room(name: str, **fields: object) -> Accommodation:
    return make_accommodation(fields.pop("house", None), name=name, **({"number": None} | fields))


def lock(name: str, **fields: object) -> Lock:
    return make_lock(name=name, **fields)


def suggested(**args: float) -> list[Suggestion]:
    return list(matching.suggest(MatchArgs(**args)).items)  # type: ignore[arg-type]


def mapped() -> set[tuple[UUID, UUID]]:
    with transaction() as session:
        return {(row.accommodation_id, row.lock_id) for row in session.scalars(select(LockMapping))}


def refusals() -> list[str | None]:
    with transaction() as session:
        return list(
            session.scalars(
                select(MappingValidationLog.reason).where(MappingValidationLog.result == "rejected")
            )
        )


def test_a_suggestion_says_why_and_changes_nothing(app: Flask) -> None:
    house = make_property(name="Pousada Sol")
    unit, device = room("Apto 101", house=house), lock("Fechadura Apartamento 101")
    (found,) = suggested()
    assert (found.accommodation.id, found.lock.id) == (unit.id, device.id)
    assert (found.score, found.confidence, found.property_name) == (1.0, "high", "Pousada Sol")
    assert found.reason == "same number 101, 'Apto' = 'Apartamento'"
    assert [note.code for note in found.notes] == ["same_number", "synonym"]
    assert mapped() == set()


def test_only_what_is_free_and_in_use_is_considered(app: Flask, clock: Clock) -> None:
    make_mapping(room("Apto 1"), lock("Porta 1"))
    room("Apto 2", is_active=False)
    lock("Porta 2")
    room("Apto 3")
    lock("Porta 3", gone_since=clock())
    found = matching.suggest(MatchArgs())
    assert (list(found.items), found.accommodations, found.locks) == ([], 1, 1)
    assert found.at == clock()


def test_the_number_of_statements_does_not_grow(app: Flask) -> None:
    house = make_property()
    for number in range(12):
        room(f"Apto {number}", house=house)
        lock(f"Porta {number}")
    statements: list[str] = []

    def count(*args: object) -> None:
        statements.append(str(args[2]))

    event.listen(db.engine, "before_cursor_execute", count)
    try:
        found = matching.suggest(MatchArgs())
    finally:
        event.remove(db.engine, "before_cursor_execute", count)
    assert len(found.confident) == 12
    assert len(statements) <= 5


def test_two_houses_with_a_101(app: Flask) -> None:
    room("101", house=make_property(name="Casa do Rio"))
    room("101", house=make_property(name="Pousada Sol"))
    first, second = lock("101"), lock("Porta 101")
    found = suggested()
    assert {each.confidence for each in found} == {"ambiguous"}
    assert all("as likely" in each.reason and "as well" in each.reason for each in found)
    assert {each.id for each in found[0].rival_locks} < {first.id, second.id}
    with transaction() as session:
        session.execute(delete(Lock))
    lock("101", location="Pousada Sol")
    lock("Casa do Rio - 101")
    assert {(each.property_name, each.lock.name, each.confidence) for each in suggested()} == {
        ("Pousada Sol", "101", "high"),
        ("Casa do Rio", "Casa do Rio - 101", "high"),
    }


def test_a_full_house_keeps_its_lock_names(app: Flask) -> None:
    """A lock that names a house is not offered elsewhere, though all rooms there have one."""
    make_mapping(room("101", house=make_property(name="Casa do Rio")))
    room("101", house=make_property(name="Pousada Sol"))
    lock("Casa do Rio 101")
    assert suggested(threshold=0.0) == []


def test_a_lock_that_fits_a_served_twin_is_not_sure(app: Flask) -> None:
    """The other house's 101 may be getting a new lock, or be closed for now."""
    twin = room("101", house=make_property(name="Casa do Rio"))
    mine = room("101", house=make_property(name="Pousada Sol"))
    make_mapping(twin)
    lock("Porta 101")
    (found,) = suggested()
    assert (found.accommodation.id, found.confidence) == (mine.id, "medium")
    assert "has a lock" in found.reason
    lock("Porta 101", location="Pousada Sol")
    best = suggested()[0]
    assert (best.accommodation.id, best.lock.location, best.confidence) == (
        mine.id,
        "Pousada Sol",
        "high",
    )


def test_the_locks_of_one_accommodation(app: Flask) -> None:
    unit = room("Apto 5")
    for name in ("Apto 5", "Quarto 5", "Apto 5 Coral", "Apto 6"):
        lock(name)
    names = [each.lock.name for each in matching.suggest_for(unit.id, MatchArgs(0.8, 5)).items]
    assert names == ["Apto 5", "Quarto 5", "Apto 5 Coral"]
    assert len(matching.suggest_for(unit.id, MatchArgs(0.8, 2)).items) == 2
    with pytest.raises(NotFound):
        matching.suggest_for(uuid4(), MatchArgs())
    with pytest.raises(Conflict, match="inactive"):
        matching.suggest_for(room("Apto 9", is_active=False).id, MatchArgs())
    make_mapping(unit)
    with pytest.raises(Conflict, match="has a lock already"):
        matching.suggest_for(unit.id, MatchArgs())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "abc"),
        ("threshold", "1.01"),
        ("threshold", "-0.1"),
        ("threshold", "nan"),
        ("threshold", "inf"),
        ("maxSuggestions", "0"),
        ("maxSuggestions", "1.5"),
        ("maxSuggestions", "many"),
        ("maxSuggestions", "21"),
    ],
)
def test_a_bad_parameter_is_named(name: str, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        MatchArgs.from_args({name: value})
    assert [each.field for each in caught.value.errors] == [name]


def test_parameters_have_defaults() -> None:
    assert MatchArgs.from_args({}) == MatchArgs(0.8, 1)
    assert MatchArgs.from_args({"threshold": "", "maxSuggestions": ""}, 5) == MatchArgs(0.8, 5)
    assert MatchArgs.from_args({"threshold": "0.65", "maxSuggestions": "3"}) == MatchArgs(0.65, 3)


def test_applying_is_mapping(app: Flask, clock: Clock) -> None:
    user = make_user("admin")
    actor = Actor(user.email, user.id, user.role)
    unit, device = room("Apto 101"), lock("Porta 101")
    make_stay(unit)
    (result,) = matching.apply([(unit.id, device.id)], actor=actor)
    assert (result.applied, result.code, result.reason) == (True, "applied", "same number 101")
    assert mapped() == {(unit.id, device.id)}
    with transaction() as session:
        row = session.scalars(select(LockMapping)).one()
        assert row.created_by == user.id
        line = session.scalars(select(MappingValidationLog)).one()
        assert (line.action, line.result, line.user_id) == ("map", "accepted", user.id)
        assert session.scalars(select(PinJob)).all()
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.action)).all()
        assert [each for each in actions if each in ("map", "match")] == ["map", "match"]
    assert suggested() == []


def test_each_pair_has_its_own_result(app: Flask) -> None:
    first, second, third = room("Apto 1"), room("Apto 1", number="7"), room("Apto 3")
    shared, other, wrong = lock("Porta 1"), lock("Lock 1"), lock("Apto 33")
    asleep = room("Apto 9", is_active=False)
    ninth, nowhere = lock("Apto 9"), uuid4()
    results = matching.apply(
        [
            (first.id, shared.id),
            (second.id, shared.id),
            (first.id, other.id),
            (first.id, shared.id),
            (third.id, wrong.id),
            (asleep.id, ninth.id),
            (nowhere, ninth.id),
            (third.id, nowhere),
            (second.id, other.id),
        ],
        actor=SYSTEM,
    )
    assert [(each.applied, each.code) for each in results] == [
        (True, "applied"),
        (False, "refused"),
        (False, "refused"),
        (True, "unchanged"),
        (False, "refused"),
        (False, "refused"),
        (False, "not_found"),
        (False, "not_found"),
        (True, "applied"),
    ]
    reasons = [each.reason for each in results]
    assert reasons[1] == "Porta 1 already opens Apto 1: a lock serves one accommodation"
    assert reasons[2] == "Apto 1 has another lock already"
    assert "do not match by name" in reasons[4]
    assert "inactive" in reasons[5]
    assert mapped() == {(first.id, shared.id), (second.id, other.id)}
    assert sorted(map(str, refusals())) == sorted(
        each.reason for each in results if not each.applied
    )


def test_what_could_be_proposed_at_a_low_threshold_may_be_applied(app: Flask) -> None:
    unit, device = room("Suíte Hortênsia 4"), lock("Suite Ortensa 4")
    (found,) = suggested(threshold=0.6)
    assert found.score < 0.8
    assert found.confidence == "medium"
    (result,) = matching.apply([(unit.id, device.id)], actor=SYSTEM)
    assert result.applied


def test_of_two_who_apply_at_once_one_wins(app: Flask) -> None:
    first, second, device = room("Apto 1"), room("Quarto 1"), lock("Porta 1")
    ready = threading.Barrier(2)
    results: list[matching.Applied] = []

    def attempt(unit: Accommodation) -> None:
        with app.app_context():
            ready.wait()
            results.extend(matching.apply([(unit.id, device.id)], actor=SYSTEM))

    threads = [threading.Thread(target=attempt, args=(each,)) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.applied for each in results) == [False, True]
    assert len(mapped()) == 1
    assert len(refusals()) == 1


def test_the_preview_holds_what_is_sure(app: Flask) -> None:
    house = make_property()
    for name in ("Apto 101", "Apto 102", "Suíte Girassol", "Suíte Coral 4"):
        room(name, house=house)
    for name in ("Porta 101", "Ap 102", "Suite Girasol", "Suite 4"):
        lock(name)
    found = matching.suggest(MatchArgs())
    assert len(found.items) == 4
    assert {each.accommodation.name for each in found.confident} == {"Apto 101", "Apto 102"}
    results = matching.apply(
        [(each.accommodation.id, each.lock.id) for each in found.confident], actor=SYSTEM
    )
    assert all(each.applied for each in results)


def test_dismissed_is_for_good_until_it_is_restored(app: Flask) -> None:
    user = make_user("admin")
    actor = Actor(user.email, user.id, user.role)
    unit, device = room("Apto 1"), lock("Porta 1")
    assert match_history.dismiss(unit.id, device.id, actor=actor)
    assert not match_history.dismiss(unit.id, device.id, actor=actor)
    assert suggested(threshold=0.0) == []
    assert list(matching.suggest_for(unit.id, MatchArgs(0.8, 5)).items) == []
    (row,) = match_history.dismissals()
    assert (row.accommodation.id, row.lock.id) == (unit.id, device.id)
    with transaction() as session:
        assert session.scalars(select(MatchDismissal)).one().dismissed_by == user.id
    assert match_history.restore(unit.id, device.id, actor=actor)
    assert not match_history.restore(unit.id, device.id, actor=actor)
    assert len(suggested()) == 1
    for answer in (match_history.dismiss, match_history.restore, match_history.undo):
        with pytest.raises(NotFound):
            answer(uuid4(), device.id, actor=actor)
        with pytest.raises(NotFound):
            answer(unit.id, uuid4(), actor=actor)


def test_undo_takes_the_match_back_only_while_it_stands(app: Flask) -> None:
    unit, device, other = room("Apto 1"), lock("Porta 1"), lock("Porta 2")
    matching.apply([(unit.id, device.id)], actor=SYSTEM)
    with pytest.raises(Conflict, match="another lock by now"):
        match_history.undo(unit.id, other.id, actor=SYSTEM)
    assert mapped() == {(unit.id, device.id)}
    match_history.undo(unit.id, device.id, actor=SYSTEM)
    assert mapped() == set()
    with pytest.raises(NotFound, match="no lock"):
        match_history.undo(unit.id, device.id, actor=SYSTEM)
    assert len(refusals()) == 2
    assert len(suggested()) == 1


def test_the_history_tells_what_can_be_undone(app: Flask, clock: Clock) -> None:
    first, second = room("Apto 1"), room("Apto 2")
    one, two = lock("Porta 1"), lock("Porta 2")
    matching.apply([(first.id, one.id), (second.id, two.id)], actor=SYSTEM)
    clock.move(minutes=1)
    match_history.undo(first.id, one.id, actor=SYSTEM)
    clock.move(minutes=1)
    match_history.dismiss(first.id, one.id, actor=SYSTEM)
    page = match_history.history({})
    told = [(each.action, each.accommodation, each.lock, each.can_undo) for each in page.items]
    assert told[:2] == [
        ("dismiss_match", "Apto 1", "Porta 1", True),
        ("undo_match", "Apto 1", "Porta 1", False),
    ]
    assert sorted(told[2:]) == [
        ("match", "Apto 1", "Porta 1", False),
        ("match", "Apto 2", "Porta 2", True),
    ]
    batches = {each.batch for each in page.items if each.action == "match"}
    assert len(batches) == 1
    assert {each.score for each in page.items if each.action == "match"} == {0.97}
    assert (page.total, len(match_history.history({"limit": "2"}).items)) == (4, 2)
    with transaction() as session:
        session.delete(reload(two))
    gone = [each for each in match_history.history({}).items if each.lock == "Porta 2"]
    assert [(each.accommodation, each.can_undo) for each in gone] == [("Apto 2", False)]


def test_dismissals_go_with_what_they_are_about(app: Flask) -> None:
    unit, device = room("Apto 1"), lock("Porta 1")
    match_history.dismiss(unit.id, device.id, actor=SYSTEM)
    with transaction() as session:
        session.delete(session.get_one(Lock, device.id))
    assert match_history.dismissals() == []


@given(st.text("abc é1", max_size=8), st.lists(st.text("abc é1", max_size=8), max_size=4))
def test_the_fast_similarity_is_the_plain_one(query: str, choices: list[str]) -> None:
    slow = dict(plain(query, choices, 0.0))
    assert dict(matching.similar(query, choices, 0.0)) == pytest.approx(slow)
    near = {at for at, _ in matching.similar(query, choices, 0.55)}
    assert near == {at for at, score in slow.items() if score > 0.55}
