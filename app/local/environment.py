"""What a local process finds in its environment: `.env`, the engines, the vendors' twins."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENDOR_PREFIXES = ("STAYS_", "BEDS24_", "TUYA_")
#: Prefixes say "a vendor is configured"; these tune us rather than name a vendor.
NOT_A_VENDOR = ("STAYS_DIALECT", "STAYS_FIRST_RUN_HOURS", "STAYS_HORIZON_DAYS")


def var_directory() -> Path:
    """Where local data lives: `var/` beside the code, open to its owner only."""
    directory = Path(os.environ.get("TURNKEY_VAR") or ROOT / "var")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory.resolve()


def load_dotenv() -> None:
    """Add what `.env` says to the environment; what is set already wins."""
    import dotenv

    dotenv.load_dotenv(ROOT / ".env", override=False)


def is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def is_production() -> bool:
    return os.environ.get("APP_ENV", "").strip().lower() == "production"


def unset_servers() -> dict[str, str]:
    """The engines nothing is configured for, each with the variable that will name it."""
    servers = {}
    if not is_set("DATABASE_URL"):
        servers["postgres"] = "DATABASE_URL"
    if not any(is_set(name) for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT")):
        servers["redis"] = "REDIS_URL"
    return servers


def vendor_configured() -> bool:
    """Whether any variable of any vendor is set."""
    return any(
        name.startswith(VENDOR_PREFIXES) and name not in NOT_A_VENDOR and is_set(name)
        for name in os.environ
    )


def sandbox_wanted() -> bool | None:
    """What SANDBOX says; None when it says nothing."""
    value = os.environ.get("SANDBOX", "").strip().lower()
    return value in ("1", "true", "yes") if value else None
