"""What is measured: the names, their labels and buckets, and what can be read from buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

COUNTER, DURATION, GAUGE = "counter", "histogram", "gauge"

#: upper ends in seconds, one list for everything; what took longer falls into one more bucket
BOUNDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0),
)
BUCKETS: Final = len(BOUNDS) + 1


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing we count or time. Labels take few values: never an id, a name or a secret."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


_MEASURES = (
    Measure(
        "turnkey_http_requests_total",
        COUNTER,
        "Requests answered, by the route's rule, method and class of status (2xx).",
        ("route", "method", "status"),
    ),
    Measure(
        "turnkey_http_request_seconds",
        DURATION,
        "Time to answer a request.",
        ("route",),
    ),
    Measure(
        "turnkey_event_seconds",
        DURATION,
        "Time one try to take in or deliver an event took.",
        ("source", "direction"),
    ),
    Measure(
        "turnkey_event_delay_seconds",
        DURATION,
        "Time from an event's arrival to its good end.",
        ("source", "direction"),
    ),
    Measure(
        "turnkey_event_tries_total",
        COUNTER,
        "Tries at events by what came of them: done, retrying, failed (now a dead letter), …",
        ("source", "direction", "outcome"),
    ),
    Measure(
        "turnkey_pin_seconds",
        DURATION,
        "accepted: from when a PIN was due to the vendor's yes; installed: from there to the "
        "lock; removed: from the wish to the proof that it is gone.",
        ("step",),
    ),
    Measure(
        "turnkey_pin_tries_total",
        COUNTER,
        "Tries to bring a PIN to its lock, by outcome: ok or the kind of error.",
        ("outcome",),
    ),
    Measure(
        "turnkey_reconciliation_seconds", DURATION, "Time a reconciliation run took.", ("kind",)
    ),
    Measure(
        "turnkey_reconciliation_runs_total",
        COUNTER,
        "Reconciliation runs that ended, by status.",
        ("kind", "status"),
    ),
    Measure(
        "turnkey_vendor_seconds",
        DURATION,
        "Time of one call to a vendor; operation is read, write or token.",
        ("vendor", "operation"),
    ),
    Measure(
        "turnkey_vendor_calls_total",
        COUNTER,
        "Calls to vendors by outcome: ok or the kind of error.",
        ("vendor", "operation", "outcome"),
    ),
    Measure(
        "turnkey_limit_hits_total",
        COUNTER,
        "Limits met: a vendor's 429 or spent quota, calls our own count of credits kept back "
        "(beds24_credits), and requests we refused with 429 (door).",
        ("limit",),
    ),
    Measure("turnkey_job_seconds", DURATION, "Time a background job ran.", ("job",)),
    Measure(
        "turnkey_jobs_total", COUNTER, "Background jobs that ended, by outcome.", ("job", "outcome")
    ),
    Measure(
        "turnkey_notices_total",
        COUNTER,
        "Notices of alerts by way (email, webhook) and outcome (sent, failed).",
        ("way", "outcome"),
    ),
    Measure("turnkey_db_statement_seconds", DURATION, "Time a statement to PostgreSQL took."),
    Measure(
        "turnkey_db_pool_connections",
        GAUGE,
        "Connections to PostgreSQL over all processes: size (may be kept), open, in_use.",
        ("state",),
    ),
    Measure("turnkey_process_memory_bytes", GAUGE, "Resident memory of all processes together."),
)

MEASURES: Final[dict[str, Measure]] = {each.name: each for each in _MEASURES}


def bucket_of(seconds: float) -> int:
    """Which bucket a duration falls into."""
    return bisect_left(BOUNDS, seconds)


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """The duration in seconds that `share` (0 to 1) of the measurements stayed within, estimated
    inside its bucket; None without any. Beyond the last bound it is that bound."""
    total = sum(buckets)
    if not total:
        return None
    wanted = share * total
    below = 0
    for index, reached in enumerate(accumulate(buckets)):
        if reached >= wanted and buckets[index]:
            if index >= len(BOUNDS):
                return BOUNDS[-1]
            low = BOUNDS[index - 1] if index else 0.0
            return low + (BOUNDS[index] - low) * max(wanted - below, 0.0) / buckets[index]
        below = reached
    return BOUNDS[-1]


def label_text(measure_labels: Sequence[str], values: Sequence[str]) -> str:
    """How labels stand in a row: `queue=pins,state=due`, or empty."""
    return ",".join(f"{name}={value}" for name, value in zip(measure_labels, values, strict=True))


def labels_of(text: str) -> dict[str, str]:
    """The labels that `label_text` wrote."""
    return dict(part.split("=", 1) for part in text.split(",")) if text else {}
