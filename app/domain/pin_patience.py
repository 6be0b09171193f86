"""How long to wait before a PIN order is tried again, and before a lock is read again.

INTERFACES §9: orders retry after 5/15/45 s, then each minute for ten minutes, then every ten until
the stay is over. A lock with something moving is read at least once a minute for a quarter of an
hour, then every ten minutes, and every minute again in the hour before check-in.
"""

from __future__ import annotations

from datetime import datetime, timedelta

#: tries after which an order stands among the failures (DECISIONS 8)
FAILED_FROM_TRY = 4
#: an order with a failed try stands among the failures this long before check-in (DECISIONS 8)
FAILED_BEFORE_CHECK_IN = timedelta(minutes=60)
#: how long a worker may hold an order before others take it over (DECISIONS 14)
LEASE = timedelta(seconds=45)
#: alarms ring up to 0.54 s early (DECISIONS, measured); an order is due that much before its time
EARLY = timedelta(seconds=1)

_FIRST_TRIES = (5, 15, 45)
_FIRST_READS = (2, 5, 10, 25)
_MINUTE = timedelta(minutes=1)
_TEN_MINUTES = timedelta(minutes=10)


def next_try(failed_tries: int, now: datetime) -> datetime:
    """When to try again after `failed_tries` (at least 1) failures."""
    if failed_tries <= len(_FIRST_TRIES):
        return now + timedelta(seconds=_FIRST_TRIES[max(failed_tries, 1) - 1])
    if failed_tries <= len(_FIRST_TRIES) + 10:
        return now + _MINUTE
    return now + _TEN_MINUTES


def stands_failed(failed_tries: int, now: datetime, check_in_at: datetime) -> bool:
    """Whether an order with that many failed tries is shown as failed (DECISIONS 8)."""
    if failed_tries < 1:
        return False
    return failed_tries >= FAILED_FROM_TRY or now >= check_in_at - FAILED_BEFORE_CHECK_IN


def next_read(reads: int, now: datetime, next_check_in_at: datetime | None) -> datetime:
    """When to read the lock again after `reads` readings since something began to move.
    `next_check_in_at` is the nearest arrival among the PINs that are not on the lock yet."""
    if reads < len(_FIRST_READS):
        return now + timedelta(seconds=_FIRST_READS[reads])
    if reads < len(_FIRST_READS) + 15:
        return now + _MINUTE
    if next_check_in_at is None:
        return now + _TEN_MINUTES
    hour_before = next_check_in_at - timedelta(hours=1)
    if now >= hour_before and now < next_check_in_at + timedelta(hours=1):
        return now + _MINUTE
    later = now + _TEN_MINUTES
    return min(later, hour_before) if now < hour_before else later
