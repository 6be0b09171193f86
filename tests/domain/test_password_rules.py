"""app/domain/password_rules.py: what is guessed first is refused, and hardly anything else."""

from __future__ import annotations

import pytest

from app.domain.password_rules import fault

EMAIL = "marta@vilajasmim.example"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "short"),
        ("kT9#vLq2pXw", "short"),
        ("123456789012", "common"),
        ("987654321098", "common"),
        ("aaaaaaaaaaaa", "common"),
        ("abcabcabcabc", "common"),
        ("            ", "common"),
        ("!!!!!!??????", "common"),
        ("qwertyuiop12", "common"),
        ("1q2w3e4r5t6y", "common"),
        ("qazwsxedcrfv", "common"),
        ("Password2026!", "common"),
        ("P@ssw0rd1234", "common"),
        ("senha1234567", "common"),
        ("Bemvindo@2026", "common"),
        ("hotelhotel12", "common"),
        ("Verão-2026-!!", "common"),
        ("turnkey12345", "common"),
        ("pousada-admin", "common"),
        (EMAIL, "email"),
        ("MARTA@vilajasmim.example", "email"),
        ("marta2026!!!", "email"),
        ("marta@vilajasmim", "email"),  # most of it, in parts
        ("vilajasmim123", "email"),
    ],
)
def test_refused(password: str, why: str) -> None:
    assert fault(password, EMAIL) == why


@pytest.mark.parametrize(
    "password",
    [
        "kT9#vLq2pXw!",
        "caneca azul janela",
        "correct horse battery",
        "another good one",
        "martas-dog-eats-7-shoes",
        "zebra-lamp-oak7",
        "пароль для двери",
        "ção-três-pães-já",
        "x7" * 6 + "Qf3!m",
    ],
)
def test_accepted(password: str) -> None:
    assert fault(password, EMAIL) is None


@pytest.mark.parametrize("email", ["", "a@b", "@", "no address"])
def test_an_odd_address_refuses_nothing_by_itself(email: str) -> None:
    assert fault("caneca azul janela", email) is None
