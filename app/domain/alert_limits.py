"""How much of each thing is too much: the one table behind every alert's threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold an admin may move between `low` and `high`; `kind` is the alert it is for, "" for
    those that govern how alerts are told. The unit is one of `UNITS`."""

    name: str
    kind: str
    unit: str
    default: int
    low: int
    high: int


UNITS = ("events", "percent", "seconds", "minutes", "hours", "waiting")

LIMITS: tuple[Limit, ...] = (
    Limit("dead_letters", "dead_letters", "events", 100, 1, 100_000),  # MON-09
    Limit("failed_events", "failed_events", "events", 10, 1, 100_000),  # MON-12
    Limit("success_rate", "success_rate", "percent", 95, 1, 100),  # MON-10
    Limit("success_rate_events", "success_rate", "events", 20, 1, 10_000),
    Limit("queue_depth", "queue_depth", "waiting", 1000, 1, 1_000_000),  # MON-13
    Limit("channel_unreachable", "channel_unreachable", "minutes", 5, 1, 1440),  # MON-11
    Limit("no_run", "no_run", "minutes", 60, 30, 1440),
    Limit("no_daily_run", "no_run", "hours", 25, 25, 168),
    Limit("run_slow", "run_slow", "seconds", 120, 10, 3600),
    Limit("pin_late", "pin_late", "minutes", 45, 5, 1440),
    Limit("revoke_overdue", "revoke_overdue", "minutes", 15, 5, 1440),
    Limit("process_gone", "process_gone", "seconds", 90, 60, 3600),
    Limit("say_again", "", "minutes", 30, 0, 1440),
    Limit("escalate_critical", "", "minutes", 15, 1, 1440),
    Limit("escalate_warning", "", "minutes", 240, 1, 10_080),
)
BY_NAME: Mapping[str, Limit] = {limit.name: limit for limit in LIMITS}
DEFAULTS: Mapping[str, int] = {limit.name: limit.default for limit in LIMITS}


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds in force: what an admin has set, the defaults for the rest."""

    values: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, BY_NAME[name].default)

    def span(self, name: str) -> timedelta:
        """A threshold in seconds, minutes or hours as a length of time."""
        return timedelta(**{BY_NAME[name].unit: self[name]})


def believable(name: str, value: object) -> bool:
    """Whether `value` may stand for the threshold `name`."""
    limit = BY_NAME.get(name)
    if limit is None or not isinstance(value, int) or isinstance(value, bool):
        return False
    return limit.low <= value <= limit.high
