"""PINs at rest: sealed, recognised without being read, and readable after a rotation of keys."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from app.crypto import PinVault, SecretVault, same, signature
from app.domain.pins import Pin

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_rotated_key_still_opens_old_pins_and_new_ones_use_the_first() -> None:
    sealed = PinVault([OLD], "fingerprint").seal(Pin("4830157"))
    both = PinVault([NEW, OLD], "fingerprint")
    assert both.open(sealed) == Pin("4830157")
    assert PinVault([NEW], "fingerprint").open(both.seal(Pin("123987"))) == Pin("123987")


def test_a_missing_key_is_named() -> None:
    sealed = PinVault([OLD], "fingerprint").seal(Pin("4830157"))
    with pytest.raises(ValueError, match="PIN_ENCRYPTION_KEYS"):
        PinVault([NEW], "fingerprint").open(sealed)


def test_the_fingerprint_tells_equality_and_nothing_else() -> None:
    vault, other = PinVault([OLD], "one"), PinVault([OLD], "two")
    assert vault.fingerprint(Pin("4830157")) == vault.fingerprint(Pin("4830157"))
    assert vault.fingerprint(Pin("4830157")) != vault.fingerprint(Pin("4830158"))
    assert vault.fingerprint(Pin("4830157")) != other.fingerprint(Pin("4830157"))
    assert "4830157" not in vault.seal(Pin("4830157"))


class TestSecretVault:
    def test_secrets_come_back_and_survive_a_rotation(self) -> None:
        sealed = SecretVault([OLD], "one").seal("a/token+with=signs")
        assert "token" not in sealed
        both = SecretVault([NEW, OLD], "one")
        assert both.open(sealed) == "a/token+with=signs"
        with pytest.raises(ValueError, match="PIN_ENCRYPTION_KEYS"):
            SecretVault([NEW], "one").open(sealed)

    def test_an_old_seal_is_renewed_with_the_first_key(self) -> None:
        both = SecretVault([NEW, OLD], "one")
        renewed = both.reseal(SecretVault([OLD], "one").seal("token"))
        assert renewed is not None
        assert SecretVault([NEW], "one").open(renewed) == "token"
        assert both.reseal(renewed) is None
        assert both.reseal("sealed by none") is None

    def test_its_fingerprints_are_keyed_and_its_own(self) -> None:
        one, other = SecretVault([OLD], "one"), SecretVault([OLD], "two")
        assert one.fingerprint("4830157") == SecretVault([NEW], "one").fingerprint("4830157")
        assert one.fingerprint("4830157") != other.fingerprint("4830157")
        assert one.fingerprint("4830157") != PinVault([OLD], "one").fingerprint(Pin("4830157"))


def test_signature_is_the_published_hmac() -> None:
    """RFC 4231, test case 2."""
    assert signature("Jefe", b"what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_comparison_takes_texts_of_any_length_and_letters() -> None:
    assert same("a", "a")
    assert not same("a", "aa")
    assert not same("é", "e")
