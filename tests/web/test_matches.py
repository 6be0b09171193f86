"""The matches page: look, apply one or the confident ones, dismiss and take back (MATCH-01…04)."""

from __future__ import annotations

import re
from typing import get_type_hints
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.domain.name_matching import Note
from app.models import Accommodation, Lock, LockMapping
from app.services import mappings, match_reasons
from app.services.audit import SYSTEM
from app.transaction import transaction
from app.web.match_wording import NOTES, reasons
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_accommodation, make_lock, make_property, make_stay
from tests.web.forms import HTMX, press, said_on
from tests.web.scenes import TODAY, make_credential


def rooms(page: str) -> list[str]:
    return re.findall(r'class="who" href="/accommodations/[^"]+">([^<]+)<', page)


def mapped() -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(LockMapping)) or 0


@pytest.fixture
def pairs() -> dict[str, tuple[Accommodation, Lock]]:
    """Two clear pairs, and a room that only might be its lock's."""
    rio = make_property(name="Casa do Rio")
    return {
        "garca": (make_accommodation(rio, name="Garça 1", number="1"), make_lock(name="Garca 1")),
        "sabia": (make_accommodation(rio, name="Sabiá 4", number="4"), make_lock(name="SABIA 4")),
        "spare": (make_accommodation(rio, name="Tucano", number="3"), make_lock(name="Lavanderia")),
    }


@pytest.mark.parametrize("path", ["", "/apply", f"/{NO_SUCH_ID}"])
def test_the_front_desk_is_told_that_only_administrators_may(staff: FlaskClient, path: str) -> None:
    assert staff.get("/matches" + path).status_code == 403
    for verb in ("apply", "dismiss", "restore", "undo"):
        assert press(staff, f"/matches/{verb}").status_code == 403


def test_suggestions_with_their_reasons(
    admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]]
) -> None:
    page = admin.get("/matches")
    assert sorted(rooms(page.text)) == ["1 Garça 1", "4 Sabiá 4"] or sorted(rooms(page.text)) == [
        "Garça 1",
        "Sabiá 4",
    ]
    words = said_on(page)
    assert "Same number 1" in words
    assert "High" in words
    assert "0 of 3 rooms have a lock" in words
    assert "Apply 2 confident…" in words
    assert "Locks that fit no room" in words
    assert "Lavanderia" in words
    assert mapped() == 0  # a suggestion never changes anything


def test_apply_one(admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]]) -> None:
    room, lock = pairs["garca"]
    done = press(admin, "/matches/apply", htmx=True, accommodation_id=room.id, lock_id=lock.id)
    assert done.status_code == 200
    assert done.headers["HX-Trigger"] == "changed"
    assert "1 lock connected" in done.text
    assert mapped() == 1
    page = admin.get("/matches")
    assert len(rooms(page.text)) == 1
    assert "Applied" in said_on(page)


def test_apply_the_confident_ones_shows_exactly_what_it_does(
    admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]]
) -> None:
    dialog = admin.get("/matches/apply", headers=HTMX)
    shown = re.findall(r'name="pair" value="([^"]+)"', dialog.text)
    assert sorted(shown) == sorted(
        f"{room.id}:{lock.id}" for room, lock in (pairs["garca"], pairs["sabia"])
    )
    assert "Connect 2 locks" in dialog.text
    assert press(admin, "/matches/apply", pair=shown).location == "/matches"
    assert mapped() == 2
    assert "2 locks connected" in admin.get("/matches").text


def test_a_refused_pair_is_named_and_stops_no_other(
    admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]]
) -> None:
    (garca, first), (sabia, second) = pairs["garca"], pairs["sabia"]
    mappings.map_lock(garca.id, pairs["spare"][1].id, actor=SYSTEM)
    answer = press(
        admin,
        "/matches/apply",
        htmx=True,
        pair=[f"{garca.id}:{first.id}", f"{sabia.id}:{second.id}", f"{uuid4()}:{second.id}"],
    )
    assert answer.status_code == 409
    words = said_on(answer)
    assert "1 lock connected." in words
    assert "2 pairs were refused" in words
    assert "it has the lock Lavanderia by now" in words
    assert "the room or the lock does not exist any more" in words
    assert mapped() == 2


def test_review_offers_the_likely_locks(admin: FlaskClient) -> None:
    rio = make_property(name="Casa do Rio")
    room = make_accommodation(rio, name="Tucano", number=None)
    near, other = make_lock(name="Tucanos"), make_lock(name="Tucana")
    page = admin.get("/matches?threshold=0.6")
    assert f'href="/matches/{room.id}"' in page.text  # reviewed, not applied directly
    dialog = admin.get(f"/matches/{room.id}?threshold=0.6", headers=HTMX)
    assert f'value="{near.id}"' in dialog.text
    assert f'value="{other.id}"' in dialog.text
    assert 'name="accommodation_id"' in dialog.text
    press(admin, "/matches/apply", accommodation_id=room.id, lock_id=other.id)
    assert mapped() == 1
    late = admin.get(f"/matches/{room.id}", headers=HTMX)
    assert late.status_code == 409
    assert "This room is connected or inactive by now." in late.text


def test_dismiss_and_take_it_back(
    admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]]
) -> None:
    room, lock = pairs["garca"]
    both = {"accommodation_id": room.id, "lock_id": lock.id}
    gone = press(admin, "/matches/dismiss", htmx=True, **both)
    assert 'action="/matches/restore"' in gone.text  # the toast's Undo
    page = admin.get("/matches")
    assert len(rooms(page.text)) == 1
    assert "Dismissed" in said_on(page)
    assert press(admin, "/matches/restore", **both).location == "/matches"
    assert len(rooms(admin.get("/matches").text)) == 2


def test_undo_an_applied_match(
    admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]], clock: Clock
) -> None:
    room, lock = pairs["garca"]
    both = {"accommodation_id": room.id, "lock_id": lock.id}
    press(admin, "/matches/apply", **both)
    press(admin, "/matches/undo", htmx=True, **both)
    assert mapped() == 0
    press(admin, "/matches/apply", **both)
    make_credential(make_stay(room, check_in=TODAY, guest="Helena Prado"), lock.id)
    asked = press(admin, "/matches/undo", **both)
    assert asked.location == f"/accommodations/{room.id}/unmap"  # where the guests are named
    assert "Helena Prado" in admin.get(asked.location).text
    assert mapped() == 1


@pytest.mark.parametrize(
    "fields",
    [{}, {"pair": "x"}, {"pair": "x:y"}, {"accommodation_id": "1", "lock_id": "2"}],
)
def test_nonsense_is_refused(admin: FlaskClient, fields: dict[str, str]) -> None:
    assert press(admin, "/matches/apply", **fields).status_code == 422
    assert press(admin, "/matches/dismiss", **fields).status_code == 422
    unknown = {"accommodation_id": uuid4(), "lock_id": uuid4()}
    assert press(admin, "/matches/dismiss", **unknown).status_code == 404


def test_threshold_and_faulty_threshold(admin: FlaskClient) -> None:
    make_accommodation(name="Tucano", number=None)
    make_lock(name="Tucanos")
    assert rooms(admin.get("/matches?threshold=0.95").text) == []
    assert "No name is alike enough" in admin.get("/matches?threshold=0.95").text
    assert rooms(admin.get("/matches?threshold=0.6").text) == ["Tucano"]
    assert admin.get("/matches?threshold=2").status_code == 422


def test_empty_states(admin: FlaskClient) -> None:
    assert "No rooms yet" in admin.get("/matches").text
    room = make_accommodation(name="Tucano")
    assert "No lock is free" in admin.get("/matches").text
    mappings.map_lock(room.id, make_lock().id, actor=SYSTEM)
    page = said_on(admin.get("/matches"))
    assert "Every room has its lock" in page
    assert "1 of 1. New locks show up here." in page


def test_every_reason_of_the_matcher_has_words() -> None:
    assert set(NOTES) == set(match_reasons.SENTENCES)
    assert {"code", "ours", "theirs"} <= set(get_type_hints(Note))


def test_nothing_is_said_twice() -> None:
    notes = (
        Note("same_number", "101", "101"),
        Note("number_field", "101", "101"),
        Note("synonym", "Garça", "Garca"),
        Note("words_extra", "porta", ""),
        Note("synonym", "Apto", "Apartamento"),
    )
    assert [each.said for each in reasons(notes)] == [
        "Same number 101",
        "“Apto” = “Apartamento”",
        "Only one name says “porta”",
    ]


def test_a_thousand_suggestions_are_not_one_page(admin: FlaskClient) -> None:
    rio = make_property(name="Casa do Rio")
    for n in range(1, 122):
        make_accommodation(rio, name=f"Quarto {n}", number=None)
        make_lock(name=f"Quarto {n}")
    page = admin.get("/matches")
    assert len(rooms(page.text)) == 100
    words = said_on(page)
    assert "Suggestions 121" in words
    assert "Apply 121 confident…" in words
    assert "The first 100 are shown" in words
    assert len(re.findall('name="pair"', admin.get("/matches/apply").text)) == 121


def test_only_the_property_that_is_looked_at(
    admin: FlaskClient, pairs: dict[str, tuple[Accommodation, Lock]]
) -> None:
    vila = make_property(name="Vila")
    make_accommodation(vila, name="Coral 7", number="7")
    make_lock(name="Coral 7")
    assert len(rooms(admin.get(f"/matches?property={vila.id}").text)) == 1
    assert len(rooms(admin.get("/matches?property=all").text)) == 3
    assert isinstance(vila.id, UUID)
