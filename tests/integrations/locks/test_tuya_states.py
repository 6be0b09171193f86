"""Phase and delivery tables of contracts/tuya.md §5.1 and §5.2, number by number."""

from __future__ import annotations

import pytest

from app.integrations.locks import LockPinState as S
from app.integrations.locks.tuya.states import pin_state


@pytest.mark.parametrize(
    ("radio", "phase", "state"),
    [
        ("wifi", 0, S.GONE),
        ("wifi", 1, S.PENDING),
        ("wifi", 2, S.INSTALLED),
        ("wifi", 3, S.DELETING),
        ("wifi", 12, S.PENDING),
        ("wifi", 17, S.GONE),
        ("wifi", 19, S.GONE),
        ("bluetooth", 0, S.GONE),
        ("bluetooth", 1, S.PENDING),
        ("bluetooth", 2, S.INSTALLED),
        ("bluetooth", 3, S.DELETING),
        ("bluetooth", 7, S.FAILED),
        ("zigbee", 1, S.PENDING),
        ("zigbee", 2, S.INSTALLED),
        ("zigbee", 3, S.FROZEN),
        ("zigbee", 4, S.GONE),
        ("zigbee", 5, S.FAILED),
    ],
)
def test_phases_by_radio(radio: str, phase: int, state: S) -> None:
    assert pin_state(radio, phase) == (state, f"phase {phase}")


@pytest.mark.parametrize(
    ("radio", "phase"),
    [
        ("wifi", 4),
        ("wifi", 5),
        ("wifi", 99),
        ("zigbee", 0),
        ("zigbee", 12),
        ("bluetooth", 5),
        ("wifi", None),
        ("wifi", "two"),
        ("wifi", True),
        ("lora", 2),
    ],
)
def test_unknown_numbers_are_unknown(radio: str, phase: object) -> None:
    assert pin_state(radio, phase)[0] is S.UNKNOWN


@pytest.mark.parametrize(
    ("phase", "delivery", "state"),
    [
        (1, 1, S.PENDING),
        (1, 2, S.INSTALLED),
        (2, 1, S.PENDING),
        (2, 2, S.INSTALLED),
        (2, 3, S.FAILED),
        (1, 4, S.FAILED),
        (1, 5, S.FAILED),
        (2, 6, S.FAILED),
        (2, 9, S.UNKNOWN),
        (3, 2, S.FROZEN),
        (4, 2, S.GONE),
        (5, 1, S.FAILED),
        (8, 2, S.UNKNOWN),
        (None, 2, S.INSTALLED),
    ],
)
def test_zigbee_delivery_may_contradict_the_phase(
    phase: int | None, delivery: int, state: S
) -> None:
    assert pin_state("zigbee", phase, delivery)[0] is state


def test_delivery_is_not_read_on_other_radios() -> None:
    assert pin_state("wifi", 2, 3) == (S.INSTALLED, "phase 2")


def test_detail_names_the_cause() -> None:
    assert pin_state("zigbee", 1, 5)[1] == "phase 1, delivery 5: lock memory full"
