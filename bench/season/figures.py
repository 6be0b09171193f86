"""What came of the season, in numbers: from the doors, from the channels' books, from the rows."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.integrations.http import USER_AGENT
from app.services import consistency
from app.transaction import transaction
from bench.season.excuses import Excuses
from bench.season.ledger import Stay
from bench.season.simulation import FIRST, ZONE, Season
from bench.season.workers import COARSE

_ENDED = """
SELECT direction, source, status, count(*) AS n,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY took) AS median,
  percentile_cont(0.99) WITHIN GROUP (ORDER BY took) AS p99, max(took) AS longest
FROM (SELECT direction, source, status,
        extract(epoch FROM processed_at - received_at) AS took FROM channel_events) AS e
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_RUNS = """
SELECT kind, status, coalesce(error_kind, '') AS why, count(*) AS n,
  sum(created) AS created, sum(updated) AS updated, sum(deleted) AS deleted
FROM reconciliation_logs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_DISCREPANCIES = """
SELECT kind, status, count(*) AS n, sum(times_opened) AS opened FROM discrepancies
GROUP BY 1, 2 ORDER BY 1, 2
"""
_ALERTS = """
SELECT kind, count(*) AS raised, count(*) FILTER (WHERE status <> 'resolved') AS still_open
FROM alerts GROUP BY 1 ORDER BY 1
"""
_CREDENTIALS = "SELECT state, count(*) AS n FROM credentials GROUP BY 1 ORDER BY 1"
_LEFT_ON = """
SELECT l.device_id, coalesce(c.revoke_requested_at, c.expires_at) AS since
FROM credentials c JOIN locks l ON l.id = c.lock_id
  LEFT JOIN reservations r ON r.id = c.reservation_id
WHERE c.state <> 'revoked' AND (r.id IS NULL OR r.status IN ('cancelled', 'no_show')
  OR c.expires_at < :now - interval '1 hour')
  AND coalesce(c.revoke_requested_at, c.expires_at) < :now - interval '20 minutes'
"""
_AUDITED = "SELECT count(*) FROM audit_log"


def collect(season: Season) -> dict[str, Any]:
    """Every figure of the report, as plain values."""
    last = season.options.first + timedelta(days=season.days)
    stays = [
        stay
        for stay in season.ledger.stays
        if season.options.first < stay.departure and stay.arrival < last
    ]
    with transaction() as session:
        rows = {
            "events": _rows(session, _ENDED),
            "runs": _rows(session, _RUNS),
            "discrepancies": _rows(session, _DISCREPANCIES),
            "alerts": _rows(session, _ALERTS),
            "credentials": _rows(session, _CREDENTIALS),
            "pins_left_on": _left_on(season, session),
            "audit_entries": session.scalar(text(_AUDITED)),
        }
    judge = season.judge
    return {
        "command": _command(season),
        "version": USER_AGENT,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "seconds": round(season.seconds),
        "moments": season.moments,
        "first": season.options.first.isoformat(),
        "days": season.days,
        "days_asked": season.options.days,
        "rooms": season.options.rooms,
        "zone": season.options.zone,
        "changes_of_clocks": _changes_of_clocks(season),
        "bookings": {
            **dict(season.guests.counts),
            "turned away": season.ledger.turned_away,
            "stays of the season": len(stays),
            "sold twice on purpose": sum(stay.rival for stay in stays),
        },
        "pins": _pins(season, stays),
        "judged": dict(judge.counts),
        "causes": {name: dict(found.most_common()) for name, found in judge.causes.items()},
        "locked_out": _locked_out(stays),
        "breaches": _breaches(season),
        "once_at_each_side": _once(season, stays),
        "consistency": [
            {"check": found.check, "count": found.count} for found in consistency.check()
        ],
        "messages": dict(season.post.counts),
        "troubles": dict(sorted(season.trouble.counts.items())),
        "desk": dict(sorted(season.desk.answers.items())),
        "refusals": dict(season.desk.refusals.most_common()),
        "jobs": dict(season.workers.jobs.most_common()),
        "jobs_failed": dict(season.workers.failures.most_common()),
        "sweeps": season.workers.sweeps,
        "readings_spared": season.workers.spared,
        "coarse_minutes": COARSE,
        "calls": _calls(season),
        **rows,
    }


def _rows(session: Session, statement: str) -> list[dict[str, Any]]:
    found = session.execute(text(statement)).mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def _left_on(season: Season, session: Session) -> dict[str, int]:
    """PINs of stays that are over and that their lock has not proved gone, by the outward cause."""
    rows = session.execute(text(_LEFT_ON), {"now": clock.utcnow()})
    return dict(Counter(season.excuses.of_door(row.device_id, row.since) for row in rows))


def _plain(value: Any) -> Any:
    """A value as JSON takes it; seconds to the tenth."""
    if value is None or isinstance(value, str | int):
        return value
    return round(float(value), 1)


def _command(season: Season) -> str:
    options = season.options
    words = ["bin/season", f"--days {options.days}", f"--rooms {options.rooms}"]
    words.append(f"--seed {options.seed}")
    if options.first != FIRST:
        words.append(f"--first {options.first}")
    if options.zone != ZONE:
        words.append(f"--zone {options.zone}")
    if options.harder != 1:
        words.append(f"--harder {options.harder:g}")
    if options.bookings is not None:
        words.append(f"--bookings {options.bookings.name}")
    if not options.with_faults:
        words.append("--no-faults")
    return " ".join(words)


def _changes_of_clocks(season: Season) -> int:
    """How often the zone's own clocks changed in the season."""
    days = [season.premises.check_in(season.options.first + timedelta(days=n)) for n in
            range(season.days + 1)]  # fmt: skip
    hours = [day.hour for day in days]
    return sum(before != after for before, after in pairwise(hours))


def _pins(season: Season, stays: Sequence[Stay]) -> dict[str, Any]:
    """Each guest's PIN once, by how it was when it had to work and when they stood there."""
    met = [stay for stay in stays if stay.guest_met and not stay.rival]
    looked = [stay for stay in met if stay.on_time is not None]
    failed = [stay for stay in met if stay.guest_met == "stayed shut"]
    slow = [stay for stay in met if stay.guest_met == "opened after some seconds"]
    on_time = [stay for stay in looked if stay.on_time and stay not in failed]
    late = [stay for stay in met if stay.on_time is False and stay not in failed]
    ours = [stay for stay in failed if Excuses.NONE in stay.excuse]
    return {
        "guests": len(met),
        "on_time": len(on_time),
        "late": len(late),
        "late_because_of_us": sum(Excuses.NONE in stay.excuse for stay in late),
        "failed": len(failed),
        "failed_because_of_us": len(ours),
        "opened_after_some_seconds": len(slow),
        "late_causes": dict(Counter(stay.excuse for stay in late).most_common()),
        "failed_causes": dict(Counter(stay.excuse for stay in failed).most_common()),
        "not_looked_at_before_arrival": len(met) - len(on_time) - len(late) - len(failed),
    }


def _locked_out(stays: Sequence[Stay]) -> list[dict[str, Any]]:
    """Everybody who stood before a locked door, one by one."""
    return [
        {
            "at": stay.arrived_at.isoformat() if stay.arrived_at else "",
            "stay": stay.number,
            "channel": stay.channel,
            "room": stay.room.sold,
            "cause": stay.excuse,
            "desk": stay.refused,
        }
        for stay in stays
        if stay.guest_met == "stayed shut"
    ]


def _breaches(season: Season) -> list[dict[str, Any]]:
    return [
        {"at": each.at.isoformat(), "what": each.what, "stay": each.stay, "detail": each.detail}
        for each in season.judge.breaches
    ]


def _once(season: Season, stays: Sequence[Stay]) -> dict[str, int]:
    """Each booking that stands at its channel, once in the product, as it is there."""
    found: Counter[str] = Counter()
    with transaction() as session:
        held = Counter(
            (row.channel, row.external_id, row.status in ("cancelled",))
            for row in session.execute(
                text("SELECT channel, external_id, status FROM reservations")
            )
        )
        direct: dict[str, str | None] = {
            row.id: row.external_id
            for row in session.execute(
                text("SELECT id::text, external_id FROM reservations WHERE source = 'direct'")
            )
        }
    for stay in stays:
        ref = direct.get(stay.ref) if stay.channel == "direct" else stay.ref
        channel = "beds24" if stay.channel == "direct" else stay.channel
        cancelled = stay.cancelled_at is not None
        copies = held[channel, ref, False] + held[channel, ref, True]
        if ref is None:
            found["direct, not yet at its channel"] += 1
        elif copies == 0:
            # Cancelled before the product ever heard of it: there is nothing to keep.
            found["cancelled before it was known" if cancelled else "missing"] += 1
        elif copies > 1:
            found["more than once"] += 1
        elif held[channel, ref, cancelled] != 1:
            found["in another state"] += 1
        else:
            found["once"] += 1
    with season.sandbox.store.open(changes=False) as world:
        twice = Counter(b.api_reference for b in world.beds24.bookings.values() if b.api_reference)
    found["twice at Beds24"] = sum(count > 1 for count in twice.values())
    return dict(found)


def _calls(season: Season) -> dict[str, int]:
    with season.sandbox.store.open(changes=False) as world:
        return dict(sorted(world.calls.items()))
