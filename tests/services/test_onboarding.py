"""What a property still needs, read from what is there."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask

from app.errors import NotFound
from app.integrations.errors import Unreachable
from app.models import ChannelProperty, LockTest
from app.services import onboarding, vendors
from app.services.onboarding import StepName
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_mapping, make_property


class Both:
    """Settings with a channel and a lock account."""

    stays_configured = True
    tuya_configured = True


def note_test(lock_id: object, clock: Clock, opened: bool | None) -> None:
    with transaction() as session:
        session.add(
            LockTest(
                lock_id=lock_id,
                state="gone",
                opened=opened,
                pin_last2="42",
                vendor_name=f"TK-{uuid4()}",
                valid_from=clock.now,
                expires_at=clock.now,
            )
        )


def test_from_nothing_to_an_open_door(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_property()

    def at() -> tuple[StepName | None, tuple[str, ...]]:
        step = onboarding.steps(house.id).current
        return (step.name, step.missing) if step else (None, ())

    assert at() == (StepName.CONNECT, ("channel", "lock_vendor"))
    monkeypatch.setattr(onboarding, "settings", Both)
    with transaction() as session:
        session.add(
            ChannelProperty(property_id=house.id, channel_name="stays", channel_property_id="stays")
        )
    vendors.note_error("tuya", Unreachable("down", vendor="tuya"))
    assert at() == (StepName.CONNECT, ("lock_vendor_answer",))
    vendors.note_ok("tuya")
    assert at() == (StepName.SYNC, ("accommodations",))

    rooms = [make_accommodation(house) for _ in range(2)]
    make_accommodation(house, is_active=False)
    assert at() == (StepName.LOCKS, ("locks",))
    make_lock()
    assert at() == (StepName.MATCH, ("mappings",))
    lock = make_mapping(rooms[0])
    match = next(s for s in onboarding.steps(house.id).steps if s.name == StepName.MATCH)
    assert match.count == 1  # one more to match
    make_mapping(rooms[1])
    assert at() == (StepName.TEST, ("lock_test",))
    note_test(lock.id, clock, None)
    note_test(lock.id, clock, False)
    assert at() == (StepName.TEST, ("lock_test",))
    note_test(lock.id, clock, True)
    assert at() == (None, ())
    found = onboarding.steps(house.id)
    assert found.finished
    assert [step.name for step in found.steps] == list(StepName)


def test_another_house_is_no_help(app: Flask, clock: Clock) -> None:
    house, other = make_property(), make_property()
    lock = make_mapping(make_accommodation(other))
    note_test(lock.id, clock, True)
    done = {step.name for step in onboarding.steps(house.id).steps if step.done}
    assert done == {StepName.LOCKS}
    with pytest.raises(NotFound):
        onboarding.steps(uuid4())
