"""What a local process finds in its environment: `.env`, the engines, the vendors' twins."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import dotenv

from app.local.processes import is_locked
from app.sandbox.credentials import credentials

ROOT = Path(__file__).resolve().parent.parent.parent
VENDORS = ("STAYS_", "BEDS24_", "TUYA_")
#: These tune us; having them set does not mean that the vendor is configured.
TUNING = (
    "STAYS_DIALECT",
    "STAYS_FIRST_RUN_HOURS",
    "STAYS_HORIZON_DAYS",
    "BEDS24_BOOKINGS_CRON",
    "BEDS24_AVAILABILITY_CRON",
    "BEDS24_RATES_CRON",
)


def var_directory() -> Path:
    """Where local data lives: `var/` beside the code, open to its owner only."""
    directory = Path(os.environ.get("TURNKEY_VAR") or ROOT / "var")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory.resolve()


def load_dotenv() -> None:
    """Add what `.env` says to the environment; what is set already wins. Flask's own switch,
    FLASK_SKIP_DOTENV, is heeded: tests must not meet the real vendors a developer works with."""
    if not is_set("FLASK_SKIP_DOTENV"):
        dotenv.load_dotenv(ROOT / ".env", override=False)


def is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def is_production() -> bool:
    return os.environ.get("APP_ENV", "").strip().lower() == "production"


def unset_servers() -> dict[str, str]:
    """The engines nothing is configured for, each with the variable that will name it."""
    servers = {}
    if not any(is_set(name) for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT")):
        servers["redis"] = "REDIS_URL"
    if not is_set("DATABASE_URL"):
        servers["postgres"] = "DATABASE_URL"
    return servers


def configured_vendors() -> tuple[str, ...]:
    """The prefixes of the vendors that have a variable of their own."""
    named = [name for name in os.environ if name not in TUNING and is_set(name)]
    return tuple(vendor for vendor in VENDORS if any(name.startswith(vendor) for name in named))


def sandbox_asked_for() -> bool | None:
    """What SANDBOX says; None when it says nothing."""
    value = os.environ.get("SANDBOX", "").strip().lower()
    return value in ("1", "true", "yes") if value else None


def point_at_sandbox() -> None:
    """Send every vendor without a variable of its own to the sandbox."""
    os.environ["SANDBOX"] = "1"
    taken = configured_vendors()
    for name, value in credentials(var_directory()).items():
        if not (taken and name.startswith(taken)):
            os.environ[name] = value


@dataclass(frozen=True, slots=True)
class Running:
    """The note a running `bin/run` leaves for its neighbours in `var/`. `sandbox_port`: where its
    sandbox listens."""

    pid: int
    url: str
    sandbox: bool
    sandbox_port: int | None = None

    def write(self, var: Path) -> None:
        partial = var / "run.json.new"
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(var / "run.json")

    @classmethod
    def read(cls, var: Path) -> Running | None:
        """The note, if whoever wrote it still runs."""
        if not is_locked(var / "run.lock"):
            return None
        try:
            return cls(**json.loads((var / "run.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


def point_at_running_sandbox() -> None:
    """A command beside a running `bin/run` talks to the vendors that one talks to."""
    running = Running.read(var_directory())
    beside = running if running is not None and running.sandbox else None
    asked = sandbox_asked_for()
    if asked is None:
        asked = beside is not None and not configured_vendors()
    if asked:
        if beside is not None and beside.sandbox_port and not is_set("SANDBOX_PORT"):
            os.environ["SANDBOX_PORT"] = str(beside.sandbox_port)
        point_at_sandbox()
