"""Settings are checked at the start, all at once, and secrets are never echoed (INTERFACES §2)."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app import config

URLS = {"DATABASE_URL": "postgres://u@h/db", "REDIS_URL": "redis://h:1/0"}
SECRETS = {
    "SECRET_KEY": "s" * 32,
    "JWT_SECRET": "j" * 32,
    "PIN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}


def problems(tmp_path: Path, **env: str) -> str:
    with pytest.raises(config.SettingsError) as caught:
        config.load(URLS | SECRETS | env, var=tmp_path)
    return str(caught.value)


def test_heroku_urls_are_accepted(tmp_path: Path) -> None:
    settings = config.load(URLS | SECRETS, var=tmp_path)
    assert settings.database_url == "postgresql+psycopg://u@h/db"
    assert (settings.pin_lead_hours, settings.pin_grace_hours) == (2, 24)
    assert settings.pin_preload_hours == 0
    assert not settings.tuya_configured
    assert not settings.stays_configured


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("APP_ENV", "prod", "one of local, production"),
        ("PORT", "http", "a whole number from 1 to 65535"),
        ("SECRET_KEY", "short", "at least 32 characters"),
        ("PIN_ENCRYPTION_KEYS", "abc", "32 bytes in url-safe base64"),
        ("PIN_LEAD_HOURS", "-1", "a whole number from 0 to 72"),
        ("BEDS24_BOOKINGS_CRON", "every day", "a schedule of five fields"),
        ("BEDS24_RATES_CRON", "61 * * * *", "a schedule of five fields"),
        ("BEDS24_AVAILABILITY_CRON", "* * * * * *", "a schedule of five fields"),
        ("STAYS_DIALECT", "v2", "one of simple, external"),
        ("STAYS_API_URL", "stays.example", "a URL starting with https://"),
        ("TUYA_API_REGION", "eu-west", "one of us, az"),
        ("TUYA_API_URL", "http://example.org", "loopback only"),
        ("DATABASE_URL", "mysql://h/db", "postgres://"),
        ("REDIS_URL", "h:1", "redis://"),
        ("LOG_LEVEL", "loud", "one of DEBUG"),
        ("SANDBOX", "perhaps", "0 or 1"),
        ("ADMIN_EMAIL", "admin", "an e-mail address"),
    ],
)
def test_a_malformed_value_is_named_with_what_was_expected(
    tmp_path: Path, name: str, value: str, expected: str
) -> None:
    said = problems(tmp_path, **{name: value})
    line = next(line for line in said.splitlines() if line.strip().startswith(f"{name}:"))
    assert expected in line


def test_all_faulty_ones_are_named_at_once_and_no_secret_is_echoed(tmp_path: Path) -> None:
    said = problems(
        tmp_path, SECRET_KEY="hunter2-secret", JWT_SECRET="other-secret", PORT="x", LOG_FORMAT="?"
    )
    assert [name in said for name in ("SECRET_KEY", "JWT_SECRET", "PORT", "LOG_FORMAT")] == [
        True
    ] * 4
    assert "hunter2" not in said
    assert "other-secret" not in said


def test_half_a_vendor_is_named(tmp_path: Path) -> None:
    said = problems(tmp_path, TUYA_ACCESS_ID="abc", STAYS_API_KEY="key")
    for name in ("TUYA_ACCESS_SECRET", "TUYA_API_REGION", "STAYS_API_URL"):
        assert f"{name}: expected a value" in said


def test_the_external_dialect_wants_its_own_variables(tmp_path: Path) -> None:
    said = problems(tmp_path, STAYS_DIALECT="external", STAYS_API_URL="https://h.stays.net")
    assert "/external/v1" in said
    assert "STAYS_CLIENT_ID" in said


def test_production_makes_no_secret_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(config.SettingsError) as caught:
        config.load(URLS | {"APP_ENV": "production", "SANDBOX": "1"}, var=tmp_path)
    for name in (*SECRETS, "SANDBOX"):
        assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_local_secrets_are_made_once_for_all_processes(tmp_path: Path) -> None:
    found: list[config.Settings] = []
    threads = [
        threading.Thread(target=lambda: found.append(config.load(URLS, var=tmp_path / "var")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(s.secret_key, s.jwt_secret, s.pin_encryption_keys) for s in found}) == 1
    for path in (tmp_path / "var").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_settings_do_not_print_secrets(tmp_path: Path) -> None:
    shown = repr(config.load(URLS | SECRETS, var=tmp_path))
    for value in (*SECRETS.values(), *URLS.values()):
        assert value not in shown


def test_wsgi_stops_with_the_lines_alone_and_with_the_status_gunicorn_heeds() -> None:
    env = {"APP_ENV": "production", "PATH": os.environ["PATH"], "LOG_LEVEL": "LOUD"}
    ended = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=config.ROOT, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    assert ended.stderr.startswith("Turnkey cannot start:\n")
    assert "Traceback" not in ended.stderr
    for name in ("DATABASE_URL", "SECRET_KEY", "JWT_SECRET", "PIN_ENCRYPTION_KEYS", "LOG_LEVEL"):
        assert f"  {name}: expected" in ended.stderr


def test_events_are_tried_as_often_as_their_type_says(tmp_path: Path) -> None:
    assert config.load(URLS | SECRETS, var=tmp_path).event_max_attempts == {"": 3}
    said = {"EVENT_MAX_ATTEMPTS": "4, booking.created=7"}
    loaded = config.load(URLS | SECRETS | said, var=tmp_path)
    assert loaded.event_max_attempts == {"": 4, "booking.created": 7}
    for wrong in ("0", "many", "booking.created=", "3,x=21"):
        assert "EVENT_MAX_ATTEMPTS" in problems(tmp_path, EVENT_MAX_ATTEMPTS=wrong)
