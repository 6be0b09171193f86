"""What is on a lock beside what we believe: nothing is changed by looking."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

import pytest

from app.errors import NotFound, Unavailable
from app.integrations.errors import Unreachable
from app.integrations.locks.fake import FakeLocks
from app.models import Credential
from app.services import lock_contents, lock_test_work, lock_tests, pin_audit
from app.services.audit import SYSTEM
from app.services.lock_contents import Kind
from app.transaction import transaction
from tests.factories import reload
from tests.services.pin_bench import Door, door  # noqa: F401 (fixtures)
from tests.services.pin_bench import locks as locks_fixture  # noqa: F401


@pytest.fixture(name="locks")
def _locks(locks_fixture: FakeLocks) -> FakeLocks:  # noqa: F811
    return locks_fixture


def kinds(door: Door) -> dict[str, list[str | None]]:  # noqa: F811
    found: dict[str, list[str | None]] = {}
    for entry in lock_contents.contents(door.lock.id).entries:
        found.setdefault(str(entry.kind), []).append(entry.guest)
    return found


def test_each_pin_has_its_place(door: Door) -> None:  # noqa: F811
    here = door.stay(check_in=date(2026, 3, 10), guest="Ana")
    door.clock.set(here.check_in_at)
    door.settle()
    lost = door.stay(check_in=date(2026, 3, 13), guest="Rui")
    door.clock.set(lost.check_in_at - timedelta(hours=1))
    door.settle()
    digits = door.digits(lost)
    door.locks.drop(door.lock.device_id, door.credential(lost).vendor_name)
    door.locks.add_foreign(
        door.lock.device_id, "cleaner", "424242", door.clock.now, door.clock.now + timedelta(1)
    )
    test = lock_tests.start(door.lock.id, actor=SYSTEM)
    lock_test_work.advance(test.id)
    before = reload(door.lock)
    found = lock_contents.contents(door.lock.id)
    assert found.read_at == door.clock.now
    assert [entry.guest for entry in found.of(Kind.MISSING)] == ["Rui"]
    assert [entry.name for entry in found.of(Kind.FOREIGN)] == ["cleaner"]
    assert [entry.name for entry in found.of(Kind.TEST)] == [test.vendor_name]
    (missing,) = found.of(Kind.MISSING)
    assert missing.masked == f"•••••{digits[-2:]}"
    assert digits not in repr(found)
    assert "424242" not in repr(found)
    assert reload(door.lock).last_read_at == before.last_read_at


def test_a_pin_on_its_way_out_and_one_that_stayed(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10), guest="Ana")
    door.clock.set(stay.check_in_at)
    door.settle()
    assert kinds(door) == {"matched": ["Ana"]}
    door.change(stay, status="cancelled")
    door.work(rounds=1)
    assert kinds(door) == {"leaving": ["Ana"]}
    with transaction() as session:
        session.get_one(Credential, door.credential(stay).id).state = "revoked"
    assert kinds(door) == {"leftover": ["Ana"]}
    door.locks.sync()
    assert kinds(door) == {}  # what is left is a record


def test_an_audit_knows_the_tests(door: Door) -> None:  # noqa: F811
    test = lock_tests.start(door.lock.id, actor=SYSTEM)
    lock_test_work.advance(test.id)
    assert pin_audit.audit() == (1, [])
    with transaction() as session:
        session.get_one(type(test), test.id).state = "gone"
    read, findings = pin_audit.audit()
    assert (read, [finding.kind for finding in findings]) == (1, ["leftover"])
    assert lock_contents.contents(door.lock.id).of(Kind.LEFTOVER) != []


def test_a_lock_that_cannot_be_read(door: Door) -> None:  # noqa: F811
    door.locks.fail_next("list_pins", Unreachable("down", vendor="fake"))
    with pytest.raises(Unavailable, match="cannot be read right now"):
        lock_contents.contents(door.lock.id)
    with pytest.raises(NotFound):
        lock_contents.contents(uuid4())
