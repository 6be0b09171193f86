"""After a rotation everything opens with the new key alone (issue 8: key rotation for PINs)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app.crypto import PinVault, SecretVault
from app.domain.pins import Pin
from app.models import Credential, User
from app.services import seals
from app.services.seals import Renewal
from app.transaction import transaction
from tests.factories import make_lock, make_stay, make_user, reload

NOW = datetime(2026, 3, 12, 15, 0, tzinfo=UTC)
OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


def use(app: Flask, monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setitem(app.extensions, "secret_vault", SecretVault(keys, "fingerprint"))


def pin(sealed: str | None, state: str = "installed") -> Credential:
    stay, lock = make_stay(check_in=NOW), make_lock()
    row = Credential(
        reservation_id=stay.id,
        lock_id=lock.id,
        pin_last2="57",
        pin_encrypted=sealed,
        pin_fingerprint=str(lock.id),
        vendor_name=f"TK-{lock.id}",
        state=state,
        valid_from=NOW,
        expires_at=NOW + timedelta(days=2),
    )
    with transaction() as session:
        session.add(row)
    return row


def digits(row: Credential, *keys: str) -> Pin:
    return PinVault(keys, "fingerprint").open(reload(row).pin_encrypted or "")


def test_pins_and_second_factors_open_with_the_new_key_alone(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = pin(PinVault([OLD], "fingerprint").seal(Pin("4830157")))
    gone = pin(None, "revoked")
    user = make_user("admin", totp_secret_encrypted=SecretVault([OLD], "f").seal("JBSWY3DP"))
    use(app, monkeypatch, NEW, OLD)
    assert seals.reseal() == Renewal(2, 0)
    assert seals.reseal() == Renewal(0, 0)
    assert digits(row, NEW) == Pin("4830157")
    assert reload(gone).pin_encrypted is None
    with transaction() as session:
        sealed = session.get_one(User, user.id).totp_secret_encrypted
    assert SecretVault([NEW], "f").open(sealed or "") == "JBSWY3DP"


def test_what_no_key_opens_is_counted_and_left(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    row = pin(PinVault([OTHER], "fingerprint").seal(Pin("4830157")))
    use(app, monkeypatch, NEW, OLD)
    assert seals.reseal() == Renewal(0, 1)
    assert digits(row, OTHER) == Pin("4830157")


def test_the_command_fails_when_a_key_is_missing(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(PinVault([OLD], "fingerprint").seal(Pin("4830157")))
    use(app, monkeypatch, NEW, OLD)
    runner = app.test_cli_runner()
    done = runner.invoke(args=["reseal"])
    assert (done.exit_code, done.output) == (0, "1 sealed anew.\n")
    use(app, monkeypatch, OTHER)
    missing = runner.invoke(args=["reseal"])
    assert missing.exit_code == 1
    assert "No configured key opens 1" in missing.output
