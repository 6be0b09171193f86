"""app/services/second_factor.py: codes work once, for a while, and for their owner (RFC 6238)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pyotp
import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select, update

from app import crypto
from app.errors import Conflict, Invalid
from app.models import AuditEntry, RecoveryCode, User
from app.services import seals, second_factor, users
from app.services.audit import Actor
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import PASSWORD, make_user, reload

BOSS = Actor("boss@example.org", role="admin")


class Phone:
    """Somebody with the factor on, and the app that knows the secret."""

    def __init__(self, clock: Clock, user: User | None = None) -> None:
        self.clock = clock
        self.user = user or make_user("admin")
        second_factor.begin(self.user.id, actor=BOSS)
        waiting = second_factor.waiting(self.fresh())
        assert waiting is not None
        self.totp = pyotp.TOTP(waiting.secret)
        self.uri = waiting.uri
        self.codes = second_factor.confirm(self.fresh(), PASSWORD, self.code(), keep="", actor=BOSS)
        clock.move(seconds=30)

    def fresh(self) -> User:
        return reload(self.user)

    def code(self, steps: int = 0) -> str:
        return self.totp.generate_otp(int(self.clock.now.timestamp()) // 30 + steps)

    def accept(self, code: str) -> str | None:
        return second_factor.accept(self.user.id, code)


@pytest.fixture
def phone(app: Flask, clock: Clock) -> Phone:
    return Phone(clock)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_vectors_of_the_standard(app: Flask, clock: Clock, seconds: int, code: str) -> None:
    """RFC 6238, appendix B, with six digits."""
    secret = pyotp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").secret
    user = make_user(
        "admin",
        totp_secret_encrypted=second_factor.secret_vault().seal(secret),
        totp_confirmed_at=clock.now,
    )
    clock.set(datetime.fromtimestamp(seconds, UTC))
    assert second_factor.accept(user.id, code) == "totp"


def test_it_is_asked_for_once_confirmed(app: Flask, clock: Clock) -> None:
    user = make_user("admin")
    second_factor.begin(user.id, actor=BOSS)
    waiting = second_factor.waiting(reload(user))
    assert waiting is not None
    code = pyotp.TOTP(waiting.secret).at(clock.now)
    assert not second_factor.is_on(reload(user))
    assert second_factor.accept(user.id, code) is None
    for password, typed, field in (("wrong", code, "password"), (PASSWORD, "000000", "code")):
        with pytest.raises(Invalid) as refused:
            second_factor.confirm(reload(user), password, typed, keep="", actor=BOSS)
        assert [each.field for each in refused.value.errors] == [field]
    assert waiting.secret not in repr(waiting)


def test_what_is_stored_gives_nothing_away(phone: Phone) -> None:
    user = phone.fresh()
    assert phone.uri.startswith("otpauth://totp/Turnkey:")
    assert phone.totp.secret not in str(user.totp_secret_encrypted)
    with transaction() as session:
        hashes = session.scalars(select(RecoveryCode.code_hash)).all()
        written = str([(e.before, e.after) for e in session.scalars(select(AuditEntry))])
    assert len(hashes) == len(set(phone.codes)) == 10
    for code in phone.codes:
        assert code.replace("-", "") not in str(hashes)
        assert code not in written
    assert phone.totp.secret not in written


@pytest.mark.parametrize(("steps", "kind"), [(-2, None), (-1, "totp"), (0, "totp"), (1, "totp"), (2, None)])  # fmt: skip # noqa: E501
def test_a_clock_may_be_half_a_minute_off(phone: Phone, steps: int, kind: str | None) -> None:
    phone.clock.move(minutes=5)
    assert phone.accept(phone.code(steps)) == kind


def test_a_code_works_once_and_no_earlier_one_after_it(phone: Phone) -> None:
    phone.clock.move(minutes=5)
    early, now = phone.code(-1), phone.code()
    assert phone.accept(f" {now[:3]} {now[3:]} ") == "totp"
    assert phone.accept(now) is None
    assert phone.accept(early) is None
    phone.clock.move(seconds=30)
    assert phone.accept(phone.code()) == "totp"


def test_the_code_that_confirmed_is_spent(app: Flask, clock: Clock) -> None:
    phone = Phone(clock)
    assert phone.accept(phone.code(-1)) is None


def test_replayed_at_the_same_time_it_works_once(app: Flask, phone: Phone) -> None:
    for code in (phone.code(), phone.codes[0]):
        kinds: list[str | None] = []
        at_once = threading.Barrier(6)

        def use(typed: str = code, start: threading.Barrier = at_once,
                kept: list[str | None] = kinds) -> None:  # fmt: skip
            with app.app_context():
                start.wait()
                kept.append(phone.accept(typed))

        threads = [threading.Thread(target=use) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(kinds) == 6
        assert kinds.count(None) == 5


def test_a_recovery_code_works_once_however_it_is_typed(phone: Phone) -> None:
    first, second = phone.codes[:2]
    assert phone.accept(first.upper()) == "recovery"
    assert phone.accept(first) is None
    assert phone.accept(second.replace("-", " ")) == "recovery"
    assert second_factor.codes_left(phone.user.id) == 8


def test_codes_of_somebody_else_are_worth_nothing(phone: Phone) -> None:
    other = Phone(phone.clock)
    assert second_factor.accept(other.user.id, phone.codes[0]) is None
    assert second_factor.accept(other.user.id, phone.code()) is None


@pytest.mark.parametrize("code", ["", "0", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "\0" * 6, "9" * 5000])  # fmt: skip # noqa: E501
def test_what_is_no_code_is_refused(phone: Phone, code: str) -> None:
    assert phone.accept(code) is None


def test_every_candidate_is_compared_in_constant_time(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def counting(left: str, right: str) -> bool:
        compared.append(left)
        return crypto.same(left, right)

    monkeypatch.setattr(second_factor, "same", counting)
    phone.clock.move(minutes=5)
    for code in (phone.code(-1), "000000"):
        compared.clear()
        phone.accept(code)
        assert len(compared) == 3


def test_switching_it_on_ends_what_was_signed_in_without_it(app: Flask, clock: Clock) -> None:
    user = make_user("admin")
    here, there = (users.start_session(user.id, None, None) for _ in range(2))
    stamp = users.credential_stamp(user)
    second_factor.begin(user.id, actor=BOSS)
    waiting = second_factor.waiting(reload(user))
    assert waiting is not None
    code = pyotp.TOTP(waiting.secret).at(clock.now)
    second_factor.confirm(reload(user), PASSWORD, code, keep=here, actor=BOSS)
    assert users.session_user(here) is not None
    assert users.session_user(there) is None
    assert users.credential_stamp(reload(user)) != stamp
    with pytest.raises(Conflict):
        second_factor.begin(user.id, actor=BOSS)


def test_switching_it_off_needs_password_and_code(phone: Phone) -> None:
    for password, code, field in (
        ("wrong", phone.code(), "password"),
        (PASSWORD, "000000", "code"),
    ):
        with pytest.raises(Invalid) as refused:
            second_factor.disable(phone.fresh(), password, code, actor=BOSS)
        assert [each.field for each in refused.value.errors] == [field]
    assert second_factor.is_on(phone.fresh())
    second_factor.disable(phone.fresh(), PASSWORD, phone.code(), actor=BOSS)
    assert not second_factor.is_on(phone.fresh())
    assert second_factor.codes_left(phone.user.id) == 0


def test_new_codes_void_the_old(phone: Phone) -> None:
    fresh = second_factor.renew_codes(phone.fresh(), PASSWORD, phone.code(), actor=BOSS)
    assert phone.accept(phone.codes[0]) is None
    assert phone.accept(fresh[0]) == "recovery"


def test_taking_it_away_ends_every_session(phone: Phone) -> None:
    token = users.start_session(phone.user.id, None, None)
    second_factor.remove(phone.user.id, actor=BOSS)
    assert users.session_user(token) is None
    assert phone.accept(phone.code()) is None
    with pytest.raises(Conflict):
        second_factor.remove(phone.user.id, actor=BOSS)


def test_a_missing_key_leaves_the_codes_on_paper(phone: Phone) -> None:
    with transaction() as session:
        session.execute(update(User).values(totp_secret_encrypted="sealed-with-another-key"))
    assert phone.accept(phone.code()) is None
    assert phone.accept(phone.codes[0]) == "recovery"


def test_the_secret_is_sealed_anew_when_keys_rotate(
    phone: Phone, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = app.extensions["settings"].pin_encryption_keys[0]
    fresh = Fernet.generate_key().decode()
    rotated = crypto.SecretVault([fresh, old], "x")
    monkeypatch.setitem(app.extensions, "secret_vault", rotated)
    seals.reseal()
    monkeypatch.setitem(app.extensions, "secret_vault", crypto.SecretVault([fresh], "x"))
    assert phone.accept(phone.code()) == "totp"
