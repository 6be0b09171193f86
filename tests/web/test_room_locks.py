"""Connecting rooms and locks from the pages: 1:1, and guests are named first (LOCK-05…08, C-19)."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.models import Accommodation, Lock, LockMapping
from app.services import mappings
from app.services.audit import SYSTEM
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_accommodation, make_lock, make_mapping, make_stay
from tests.web.forms import HTMX, complaint_at, press, said_on, value_of
from tests.web.scenes import TODAY, make_credential


def lock_of(room: Accommodation) -> UUID | None:
    with transaction() as session:
        return session.scalar(
            select(LockMapping.lock_id).where(LockMapping.accommodation_id == room.id)
        )


def occupied() -> tuple[Accommodation, Lock]:
    """A room with a lock, and a guest whose PIN is on it."""
    room = make_accommodation(name="Coral", number="203")
    lock = make_mapping(room)
    make_credential(make_stay(room, check_in=TODAY, guest="Helena Prado"), lock.id)
    return room, lock


@pytest.mark.parametrize("verb", ["map", "unmap", "delete"])
def test_the_front_desk_may_not(staff: FlaskClient, verb: str) -> None:
    room = make_accommodation()
    lock = make_mapping(room)
    assert press(staff, f"/accommodations/{room.id}/{verb}").status_code == 403
    assert press(staff, f"/locks/{lock.id}/map").status_code == 403
    assert lock_of(room) == lock.id


def test_connect_a_free_lock(admin: FlaskClient) -> None:
    room, lock = make_accommodation(name="Coral"), make_lock(name="Porta 203", location="1º andar")
    other = make_accommodation(name="Duna")
    taken = make_mapping(other)
    dialog = admin.get(f"/accommodations/{room.id}/map", headers=HTMX)
    assert f'<option value="{lock.id}">Porta 203 (1º andar)</option>' in dialog.text
    assert f'value="{taken.id}"' not in dialog.text  # shown beside its room, not to be chosen
    assert "1 lock opens another room" in dialog.text
    done = press(admin, f"/accommodations/{room.id}/map", htmx=True, lock_id=lock.id)
    assert done.status_code == 200
    assert done.headers["HX-Trigger"] == "changed"
    assert "<dialog" not in done.text
    assert lock_of(room) == lock.id
    assert press(admin, f"/accommodations/{room.id}/map", lock_id=lock.id).status_code == 303
    page = said_on(admin.get(f"/accommodations/{room.id}"))
    assert "Connected by Davi Lacerda" in page.replace("Coral ", "").replace(f"{lock.name} · ", "")


def test_the_likely_lock_comes_first(admin: FlaskClient) -> None:
    room = make_accommodation(name="Suíte Ipê", number=None)
    make_lock(name="Alpendre")
    likely = make_lock(name="SUITE IPE")
    dialog = admin.get(f"/accommodations/{room.id}/map", headers=HTMX).text
    probably = dialog.split('<optgroup label="Probably')[1].split("</optgroup>")[0]
    assert f'value="{likely.id}"' in probably
    assert "Alpendre" not in probably
    assert "Alpendre" in dialog


def test_a_lock_that_somebody_was_faster_with_is_refused_in_the_dialog(admin: FlaskClient) -> None:
    room, lock = make_accommodation(name="Coral"), make_lock(name="Porta 203")
    mappings.map_lock(make_accommodation(name="Duna").id, lock.id, actor=SYSTEM)
    late = press(admin, f"/accommodations/{room.id}/map", htmx=True, lock_id=lock.id)
    assert late.status_code == 409
    assert "Porta 203 opens Duna already, and a lock opens one room only." in said_on(late)
    assert lock_of(room) is None
    log = said_on(admin.get(f"/accommodations/{room.id}"))
    assert "Porta 203 already opens Duna. by Davi Lacerda" in log


@pytest.mark.parametrize(("typed", "status"), [("", 422), ("x", 422), (NO_SUCH_ID, 409)])
def test_no_such_lock(admin: FlaskClient, typed: str, status: int) -> None:
    room = make_accommodation()
    make_lock()
    page = press(admin, f"/accommodations/{room.id}/map", htmx=True, lock_id=typed)
    assert page.status_code == status
    assert complaint_at(page, "lock_id") in ("Choose a lock", "This lock does not exist any more")


def test_another_lock_names_the_guests_and_is_changed_once_they_were_seen(
    admin: FlaskClient, clock: Clock
) -> None:
    room, lock = occupied()
    new = make_lock(name="Nova")
    path = f"/accommodations/{room.id}/map"
    unseen = press(admin, path, htmx=True, lock_id=new.id)
    assert unseen.status_code == 409
    assert "Look again: this concerns guests who have a PIN" in unseen.text
    assert "Helena Prado" in unseen.text
    assert lock_of(room) == lock.id
    seen = value_of(unseen, "seen")
    assert press(admin, path, htmx=True, lock_id=new.id, seen=seen).status_code == 200
    assert lock_of(room) == new.id


def test_disconnecting_asks_again_when_another_guest_is_affected_by_now(
    admin: FlaskClient, clock: Clock
) -> None:
    room, lock = occupied()
    path = f"/accommodations/{room.id}/unmap"
    dialog = admin.get(path, headers=HTMX)
    assert "1 guest loses the PIN" in dialog.text
    assert "Helena Prado" in dialog.text
    next_stay = make_stay(room, check_in=TODAY.replace(day=14), guest="Rafael Monteiro")
    make_credential(next_stay, lock.id, "7712604")
    again = press(admin, path, htmx=True, seen=value_of(dialog, "seen"))
    assert again.status_code == 409
    assert "2 guests lose the PIN" in again.text
    assert lock_of(room) == lock.id
    assert press(admin, path, htmx=True, seen=value_of(again, "seen")).status_code == 200
    assert lock_of(room) is None


def test_without_a_live_pin_disconnecting_needs_no_names(admin: FlaskClient) -> None:
    room = make_accommodation()
    make_mapping(room)
    path = f"/accommodations/{room.id}/unmap"
    assert "loses the PIN" not in admin.get(path).text
    assert press(admin, path).location == f"/accommodations/{room.id}"
    assert lock_of(room) is None
    assert press(admin, path).status_code == 303  # pressed twice: it is as it should be


def test_from_the_lock_choose_a_room(admin: FlaskClient, clock: Clock) -> None:
    lock = make_lock(name="Nova")
    bare = make_accommodation(name="Duna")
    room, old = occupied()
    path = f"/locks/{lock.id}/map"
    dialog = admin.get(path, headers=HTMX)
    assert dialog.text.index(str(bare.id)) < dialog.text.index(str(room.id))
    asked = press(admin, path, htmx=True, accommodation_id=room.id)
    assert asked.status_code == 409
    assert "Helena Prado" in asked.text
    assert lock_of(room) == old.id
    seen = value_of(asked, "seen")
    assert press(admin, path, htmx=True, accommodation_id=room.id, seen=seen).status_code == 200
    assert lock_of(room) == lock.id
    taken = press(admin, path, htmx=True, accommodation_id=bare.id)
    assert taken.status_code == 409
    assert "Nova opens Coral already" in said_on(taken)
    assert press(admin, path, htmx=True, accommodation_id="").status_code == 422
