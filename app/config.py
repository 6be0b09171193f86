"""Settings, read once from the environment; a faulty or missing one stops the start.

Every faulty variable is named at once with what was expected; a secret's value is never echoed
(INTERFACES §2, SEC-07, SEC-14).
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from app.variables import Reader

#: tinytuya sends credentials to China for any region it does not know (contracts/tuya.md §1.1)
TUYA_REGIONS = ("us", "az", "us-e", "ue", "eu", "eu-w", "we", "in", "sg", "cn")
ROOT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """One or more variables are missing or malformed; the message names each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("Turnkey cannot start:\n" + "\n".join(f"  {line}" for line in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the environment decides. Secrets are kept out of `repr`."""

    app_env: str
    database_url: str = field(repr=False)  # SQLAlchemy form: postgresql+psycopg://…
    redis_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    pin_encryption_keys: tuple[str, ...] = field(repr=False)
    port: int = 8000
    admin_email: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    #: "required": an administrator gets no further than to setting one up
    admin_second_factor: str = "optional"
    stays_dialect: str = "simple"
    stays_api_url: str | None = None
    stays_api_key: str | None = field(default=None, repr=False)
    stays_client_id: str | None = None
    stays_client_secret: str | None = field(default=None, repr=False)
    stays_webhook_secret: str | None = field(default=None, repr=False)
    beds24_api_url: str = "https://beds24.com/api/v2"
    beds24_refresh_token: str | None = field(default=None, repr=False)
    beds24_webhook_secret: str | None = field(default=None, repr=False)
    #: when bookings, free units and prices are compared with Beds24, in UTC (B24R-16…19)
    beds24_bookings_cron: str = "7,22,37,52 * * * *"
    beds24_availability_cron: str = "12 * * * *"
    beds24_rates_cron: str = "40 3 * * *"
    deep_comparison_cron: str = "20 2 * * 1"
    tuya_api_region: str | None = None
    tuya_access_id: str | None = None
    tuya_access_secret: str | None = field(default=None, repr=False)
    tuya_api_url: str | None = None
    sandbox: bool = False
    public_url: str | None = None  # where people open Turnkey, for links in messages
    alert_email_to: str | None = None
    alert_email_from: str | None = None
    alert_escalation_email_to: str | None = None
    smtp_url: str | None = field(default=None, repr=False)
    alert_webhook_url: str | None = field(default=None, repr=False)  # may hold a token
    alert_webhook_secret: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    log_level: str = "INFO"
    log_format: str = "console"
    pin_lead_hours: int = 2
    pin_grace_hours: int = 24
    pin_preload_hours: int = 0
    room_sync_minutes: int = 5
    hold_minutes: int = 15
    hold_cap_minutes: int = 60
    #: how long changed nights wait for company before they are told; prices wait four times that
    outbound_gather_seconds: int = 5
    hold_reap_minutes: int = 5
    db_pool_size: int = 10
    web_threads: int = 8
    trusted_proxies: int = 0
    stays_first_run_hours: int = 24
    stays_horizon_days: int = 120
    #: tries per event type, "" for all types not named
    event_max_attempts: Mapping[str, int] = field(default_factory=lambda: {"": 3})

    @property
    def production(self) -> bool:
        return self.app_env == "production"

    @property
    def stays_configured(self) -> bool:
        """Whether reservations can be read from Stays."""
        return self.stays_api_url is not None

    @property
    def tuya_configured(self) -> bool:
        """Whether locks can be reached."""
        return self.tuya_access_id is not None


def _database_url(reader: Reader) -> str:
    raw = reader.text("DATABASE_URL")
    if raw is None:
        reader.fault(
            "DATABASE_URL", "a PostgreSQL URL; bin/run starts an embedded server without one"
        )
        return ""
    for prefix in ("postgres://", "postgresql://", "postgresql+psycopg://"):
        if raw.startswith(prefix):
            return "postgresql+psycopg://" + raw[len(prefix) :]
    reader.fault("DATABASE_URL", "a URL starting with postgres:// or postgresql://")
    return ""


def _redis_url(reader: Reader) -> str:
    url = reader.text("REDIS_URL")
    if url is not None:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            reader.fault("REDIS_URL", "a URL starting with redis:// or rediss://")
        return url
    host = reader.text("REDIS_HOST")
    if host is not None or reader.text("REDIS_PORT") is not None:
        port = reader.whole("REDIS_PORT", 6379, 1, 65535)
        return f"redis://{host or '127.0.0.1'}:{port}/0"
    reader.fault("REDIS_URL", "a Redis URL; bin/run starts an embedded server without one")
    return ""


def _generated(var: Path, name: str, make: Callable[[], str]) -> str:
    """A local secret: made once, kept in `var/` readable by its owner only.

    Several processes may ask at once: each writes its own under another name and links it, so one
    of them wins and nobody reads a part.
    """
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = var / name.lower()
    if not path.exists():
        temporary = var / f".{path.name}-{secrets.token_hex(6)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(make() + "\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    value = path.read_text().strip()
    if not value:
        raise SettingsError([f"{name}: {path} is empty; delete it to have it made again"])
    return value


def _secret(reader: Reader, name: str, *, production: bool, var: Path) -> str:
    value = reader.text(name)
    if value is None:
        if production:
            reader.fault(name, "at least 32 characters; it is not set")
            return ""
        return _generated(var, name, lambda: secrets.token_urlsafe(48))
    if len(value) < 32:
        reader.fault(name, "at least 32 characters")
    return value


def _pin_keys(reader: Reader, *, production: bool, var: Path) -> tuple[str, ...]:
    name = "PIN_ENCRYPTION_KEYS"
    raw = reader.text(name)
    if raw is None:
        if production:
            reader.fault(name, "comma-separated Fernet keys; it is not set")
            return ()
        return (_generated(var, name, lambda: Fernet.generate_key().decode()),)
    keys = tuple(part.strip() for part in raw.split(",") if part.strip())
    for position, key in enumerate(keys, 1):
        try:
            valid = len(base64.urlsafe_b64decode(key)) == 32
        except ValueError:
            valid = False
        if not valid:
            reader.fault(name, f"key {position} to be 32 bytes in url-safe base64 (a Fernet key)")
    if not keys:
        reader.fault(name, "at least one Fernet key")
    return keys


def _event_max_attempts(reader: Reader) -> dict[str, int]:
    """`3`, or `3,booking.created=5`: the number for all event types, then for single ones."""
    name, found = "EVENT_MAX_ATTEMPTS", {"": 3}
    for part in (reader.text(name) or "").replace(" ", "").split(","):
        kind, _, count = part.rpartition("=")
        if part and not (count.isdecimal() and 1 <= int(count) <= 20):
            reader.fault(name, "numbers from 1 to 20, like 3 or 3,booking.created=5")
            break
        if part:
            found[kind] = int(count)
    return found


def load(env: Mapping[str, str] | None = None, *, var: Path | None = None) -> Settings:
    """Read and check every variable of INTERFACES §2. Raises SettingsError naming all that are
    faulty. `var` is where local secrets are kept (default: `var/` beside the code)."""
    reader = Reader(os.environ if env is None else env)
    var = var or Path(reader.text("TURNKEY_VAR") or ROOT / "var")
    app_env = reader.choice("APP_ENV", ("local", "production"), "local")
    production = app_env == "production"
    fields: dict[str, Any] = {
        "app_env": app_env,
        "database_url": _database_url(reader),
        "redis_url": _redis_url(reader),
        "port": reader.whole("PORT", 8000, 1, 65535),
        "secret_key": _secret(reader, "SECRET_KEY", production=production, var=var),
        "jwt_secret": _secret(reader, "JWT_SECRET", production=production, var=var),
        "pin_encryption_keys": _pin_keys(reader, production=production, var=var),
        "admin_email": reader.text("ADMIN_EMAIL"),
        "admin_password": reader.text("ADMIN_PASSWORD"),
        "admin_second_factor": reader.choice(
            "ADMIN_SECOND_FACTOR", ("optional", "required"), "optional"
        ),
        "log_level": reader.choice(
            "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO"
        ),
        "log_format": reader.choice(
            "LOG_FORMAT", ("json", "console"), "json" if production else "console"
        ),
        "pin_lead_hours": reader.whole("PIN_LEAD_HOURS", 2, 0, 72),
        "pin_grace_hours": reader.whole("PIN_GRACE_HOURS", 24, 0, 168),
        "pin_preload_hours": reader.whole("PIN_PRELOAD_HOURS", 0, 0, 168),
        "room_sync_minutes": reader.whole("ROOM_SYNC_MINUTES", 5, 0, 60),
        "hold_minutes": reader.whole("HOLD_MINUTES", 15, 1, 120),
        "hold_cap_minutes": reader.whole("HOLD_CAP_MINUTES", 60, 5, 24 * 60),
        "outbound_gather_seconds": reader.whole("OUTBOUND_GATHER_SECONDS", 5, 0, 300),
        "hold_reap_minutes": reader.whole("HOLD_REAP_MINUTES", 5, 1, 60),
        "db_pool_size": reader.whole("DB_POOL_SIZE", 10, 1, 100),
        "web_threads": reader.whole("WEB_THREADS", 8, 1, 64),
        "trusted_proxies": reader.whole("TRUSTED_PROXIES", 1 if production else 0, 0, 5),
        "event_max_attempts": _event_max_attempts(reader),
        "stays_first_run_hours": reader.whole("STAYS_FIRST_RUN_HOURS", 24, 1, 24 * 366),
        "stays_horizon_days": reader.whole("STAYS_HORIZON_DAYS", 120, 1, 730),
        "public_url": reader.url("PUBLIC_URL", ("https", "http")),
        "alert_email_to": reader.addresses("ALERT_EMAIL_TO"),
        "alert_email_from": reader.addresses("ALERT_EMAIL_FROM"),
        "alert_escalation_email_to": reader.addresses("ALERT_ESCALATION_EMAIL_TO"),
        "smtp_url": reader.url("SMTP_URL", ("smtp", "smtps")),
        # As it was written: to many a receiver a slash at the end is another address.
        "alert_webhook_url": reader.url("ALERT_WEBHOOK_URL", ("http", "https"))
        and reader.text("ALERT_WEBHOOK_URL"),
        "alert_webhook_secret": reader.text("ALERT_WEBHOOK_SECRET"),
        "metrics_token": reader.text("METRICS_TOKEN"),
        "sandbox": reader.flag("SANDBOX"),
    }
    if fields["sandbox"] and production:
        reader.fault("SANDBOX", "0 in production: the sandbox opens no real door")
    if fields["hold_cap_minutes"] < fields["hold_minutes"]:
        reader.fault("HOLD_CAP_MINUTES", "at least as many minutes as HOLD_MINUTES")
    if fields["admin_email"] and "@" not in fields["admin_email"]:
        reader.fault("ADMIN_EMAIL", "an e-mail address")
    if fields["admin_password"] and len(fields["admin_password"]) < 8:
        reader.fault("ADMIN_PASSWORD", "at least 8 characters")
    fields |= _stays(reader)
    fields |= _beds24(reader)
    fields |= _tuya(reader)
    if reader.problems:
        raise SettingsError(reader.problems)
    return Settings(**fields)


def _stays(reader: Reader) -> dict[str, Any]:
    names = ("API_URL", "API_KEY", "CLIENT_ID", "CLIENT_SECRET", "WEBHOOK_SECRET")
    values = {name: reader.text(f"STAYS_{name}") for name in names}
    dialect = reader.choice("STAYS_DIALECT", ("simple", "external"), "simple")
    url = reader.url("STAYS_API_URL", ("https", "http"))
    needed: tuple[str, ...] = ("API_URL", "API_KEY")
    if dialect == "external":
        needed = ("API_URL", "CLIENT_ID", "CLIENT_SECRET")
        if url is not None and not url.endswith("/external/v1"):
            reader.fault("STAYS_API_URL", "a URL ending in /external/v1 for the external dialect")
    if any(values[name] for name in names if name != "WEBHOOK_SECRET"):
        for name in needed:
            if values[name] is None:
                reader.fault(f"STAYS_{name}", f"a value: the {dialect} dialect of Stays needs it")
    return {
        "stays_dialect": dialect,
        "stays_api_url": url,
        "stays_api_key": values["API_KEY"],
        "stays_client_id": values["CLIENT_ID"],
        "stays_client_secret": values["CLIENT_SECRET"],
        "stays_webhook_secret": values["WEBHOOK_SECRET"],
    }


def _beds24(reader: Reader) -> dict[str, Any]:
    url = reader.url("BEDS24_API_URL", ("https", "http"), loopback_only="http")
    return {
        "beds24_api_url": url or "https://beds24.com/api/v2",
        "beds24_refresh_token": reader.text("BEDS24_REFRESH_TOKEN"),
        "beds24_webhook_secret": reader.text("BEDS24_WEBHOOK_SECRET"),
        "beds24_bookings_cron": reader.cron("BEDS24_BOOKINGS_CRON", "7,22,37,52 * * * *"),
        "beds24_availability_cron": reader.cron("BEDS24_AVAILABILITY_CRON", "12 * * * *"),
        "beds24_rates_cron": reader.cron("BEDS24_RATES_CRON", "40 3 * * *"),
        "deep_comparison_cron": reader.cron("DEEP_COMPARISON_CRON", "20 2 * * 1"),
    }


def _tuya(reader: Reader) -> dict[str, Any]:
    region = (reader.text("TUYA_API_REGION") or "").lower() or None
    access_id, secret = reader.text("TUYA_ACCESS_ID"), reader.text("TUYA_ACCESS_SECRET")
    url = reader.url("TUYA_API_URL", ("https", "http"), loopback_only="http")
    if region is not None and region not in TUYA_REGIONS:
        reader.fault("TUYA_API_REGION", "one of " + ", ".join(TUYA_REGIONS))
    if access_id or secret or region:
        for name, value in (
            ("TUYA_ACCESS_ID", access_id),
            ("TUYA_ACCESS_SECRET", secret),
            ("TUYA_API_REGION", region or url),
        ):
            if value is None:
                reader.fault(name, "a value: the Tuya project needs it")
    if secret is not None and len(secret.encode()) != 32:
        reader.fault("TUYA_ACCESS_SECRET", "exactly 32 characters")
    return {
        "tuya_api_region": region,
        "tuya_access_id": access_id,
        "tuya_access_secret": secret,
        "tuya_api_url": url,
    }
