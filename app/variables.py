"""One variable of the environment: read, checked, and its fault named with what was expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from croniter import croniter

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EMAIL = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+")


class Reader:
    """Collects every problem before anyone is told."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        value = self.env.get(name, "").strip()
        return value or None

    def fault(self, name: str, expected: str) -> None:
        self.problems.append(f"{name}: expected {expected}")

    def choice(self, name: str, options: tuple[str, ...], default: str) -> str:
        value = (self.text(name) or default).strip()
        found = next((o for o in options if o.lower() == value.lower()), None)
        if found is None:
            self.fault(name, "one of " + ", ".join(options))
            return default
        return found

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.text(name)
        if raw is None:
            return default
        try:
            value = int(raw)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            self.fault(name, f"a whole number from {low} to {high}")
            return default
        return value

    def cron(self, name: str, default: str) -> str:
        """Five fields, as `12 * * * *`."""
        raw = " ".join((self.text(name) or default).split())
        if len(raw.split()) != 5 or not croniter.is_valid(raw):
            self.fault(name, "a schedule of five fields like 12 * * * * (UTC)")
            return default
        return raw

    def flag(self, name: str) -> bool:
        raw = (self.text(name) or "0").lower()
        if raw not in ("0", "1", "true", "false", "yes", "no"):
            self.fault(name, "0 or 1")
        return raw in ("1", "true", "yes")

    def addresses(self, name: str) -> str | None:
        """One or several e-mail addresses, separated by commas."""
        raw = self.text(name)
        if raw is not None and not all(EMAIL.fullmatch(part.strip()) for part in raw.split(",")):
            self.fault(name, "e-mail addresses, separated by commas")
            return None
        return raw

    def url(self, name: str, schemes: tuple[str, ...], *, loopback_only: str = "") -> str | None:
        """A URL of one of `schemes`; `loopback_only` names one allowed for this machine only."""
        raw = self.text(name)
        if raw is None:
            return None
        try:
            parts = urlsplit(raw)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
            parts = urlsplit("")
        if parts.scheme not in schemes or not host:
            self.fault(name, "a URL starting with " + " or ".join(f"{s}://" for s in schemes))
            return None
        if parts.scheme == loopback_only and host not in LOOPBACK:
            self.fault(name, f"https:// ({loopback_only}:// is allowed for loopback only)")
            return None
        return raw.rstrip("/")
