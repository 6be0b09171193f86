"""The charts of the page Figures: which series stand in which drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from flask_babel import lazy_gettext as _l

from app.integrations import channels, locks
from app.queue.registry import (
    BEDS24_INBOUND,
    MAINTENANCE,
    PINS,
    PMS_OUTBOUND,
    RECONCILIATION,
    STAYS_INBOUND,
)
from app.services.figure_readings import Readings, Values
from app.services.figures import GOOD
from app.services.reconciliation_reports import SLOW
from app.web import dates
from app.web.dates import gettext as _
from app.web.figure_pencil import Figure, Pencil
from app.web.plots import Series

VENDORS: Final = (
    {name: one.title for name, one in channels.KNOWN.items()}
    | {name: one.title for name, one in locks.KNOWN.items()}
    | {"tuya": _l("Lock account")}
)
LIMITS: Final = {
    "beds24_credits": _l("Beds24, kept back by our own count"),
    "door": _l("Refused by us"),
}
_MEGA: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Section:
    """Charts that belong together."""

    id: str
    heading: str
    figures: Sequence[Figure] = field(default_factory=tuple)


def sections(found: Readings) -> list[Section]:
    """Every chart of the page, by what it is about."""
    draw = Pencil(found)
    return [
        Section("f-pins", _("PINs"), _pins(found, draw)),
        Section("f-events", _("Events and queues"), _events(found, draw)),
        Section("f-vendors", _("Vendors"), _vendors(found, draw)),
        Section("f-runs", _("Reconciliation"), _runs(found, draw)),
        Section("f-house", _("Pages and machines"), _machines(found, draw)),
    ]


def _pins(found: Readings, draw: Pencil) -> list[Figure]:
    stays = [
        Series(_("On time"), tuple(float(level.on_time) for level in found.pins), "ok"),
        Series(_("Late"), tuple(float(level.late) for level in found.pins), "warn"),
        Series(_("Never"), tuple(float(level.never) for level in found.pins), "bad"),
    ]
    steps = (
        (_("Accepted by the vendor"), "accepted", ""),
        (_("Then on the lock"), "installed", "soft"),
        (_("Proven gone"), "removed", "faint"),
    )
    times = [
        Series(label, found.within("turnkey_pin_seconds", 0.95, step=step), kind)
        for label, step, kind in steps
    ]
    return [
        draw.bars("pins-due", _("Stays that began, by their PIN"), stays, measured=False),
        draw.times("pin-steps", _("Time of each step of a PIN, 95 of 100"), times),
    ]


def _events(found: Readings, draw: Pencil) -> list[Figure]:
    depth = "turnkey_queue_depth"
    jobs = (PINS, RECONCILIATION, MAINTENANCE)
    queues = [
        Series(_("To take in"), found.most(depth, queue=(STAYS_INBOUND, BEDS24_INBOUND))),
        Series(_("To send"), found.most(depth, queue=PMS_OUTBOUND), "soft"),
        Series(_("PINs, runs and upkeep"), found.most(depth, queue=jobs), "faint"),
    ]
    tries = "turnkey_event_tries_total"
    others = [
        word for word in found.words(tries, "outcome") if word not in GOOD and word != "failed"
    ]
    ended = [
        Series(_("Done"), found.added(tries, outcome=GOOD), "ok"),
        Series(_("Tried again"), found.added(tries, outcome=others), "warn"),
        Series(_("Failed"), found.added(tries, outcome="failed"), "bad"),
    ]
    dead = [Series(_("Dead letters"), found.most("turnkey_dead_letters"), "bad")]
    return [
        draw.counts("queues", _("Waiting, at most"), queues),
        draw.bars("event-ends", _("Tries at events"), ended),
        draw.times(
            "event-times",
            _("Time to process an event"),
            _shares(found, "turnkey_event_seconds"),
        ),
        draw.times(
            "event-delay",
            _("From its arrival to its end"),
            _shares(found, "turnkey_event_delay_seconds"),
        ),
        draw.bars("dead-letters", _("Dead letters, at most"), dead, summed=False),
    ]


def _vendors(found: Readings, draw: Pencil) -> list[Figure]:
    calls, figures = "turnkey_vendor_calls_total", []
    outcomes = found.words(calls, "outcome")
    errors = [word for word in outcomes if word != "ok"]
    for vendor in (each for each in VENDORS if each in found.words(calls, "vendor")):
        name = str(VENDORS[vendor])
        answers = [
            Series(_("Answered"), found.added(calls, vendor=vendor, outcome="ok"), "ok"),
            Series(_("Errors"), found.added(calls, vendor=vendor, outcome=errors), "bad"),
        ]
        figures += [
            draw.times(
                f"{vendor}-times",
                _("%(vendor)s: time of an answer", vendor=name),
                _shares(found, "turnkey_vendor_seconds", vendor=vendor),
            ),
            draw.bars(f"{vendor}-calls", _("%(vendor)s: calls", vendor=name), answers),
        ]
    credits_ = [Series(_("Left"), found.least("turnkey_channel_credits"))]
    hits = [
        Series(
            _limit(word),
            found.added("turnkey_limit_hits_total", limit=word),
            ("warn", "bad", "", "soft", "faint")[number % 5],
        )
        for number, word in enumerate(found.words("turnkey_limit_hits_total", "limit"))
    ]
    return [
        *figures,
        draw.counts(
            "credits", _("Calls Beds24 still allowed, at the lowest"), credits_, lowest=True
        ),
        draw.bars("limits", _("Limits met"), hits or [Series(_("None"), draw.zeros, "warn")]),
    ]


def _runs(found: Readings, draw: Pencil) -> list[Figure]:
    runs = "turnkey_reconciliation_runs_total"
    ended = [
        Series(_("Success"), found.added(runs, status="success"), "ok"),
        Series(_("Failed"), found.added(runs, status="failed"), "bad"),
    ]
    return [
        draw.times(
            "run-times",
            _("Duration of runs"),
            _shares(found, "turnkey_reconciliation_seconds"),
            limit=SLOW.total_seconds(),
        ),
        draw.bars("run-ends", _("Runs that ended"), ended),
    ]


def _machines(found: Readings, draw: Pencil) -> list[Figure]:
    answers = "turnkey_http_requests_total"
    pool = "turnkey_db_pool_connections"
    good = [word for word in found.words(answers, "status") if word[:1] in "123"]
    answered = [
        Series(_("Good"), found.added(answers, status=good), "ok"),
        Series(_("Refused"), found.added(answers, status="4xx"), "warn"),
        Series(_("Our fault"), found.added(answers, status="5xx"), "bad"),
    ]
    connections = [
        Series(_("In use"), found.most(pool, state="in_use")),
        Series(_("Open"), found.most(pool, state="open"), "soft"),
        Series(_("May be kept"), found.most(pool, state="size"), "faint"),
    ]
    memory = [
        Series(_("Redis"), _scaled(found.most("turnkey_redis_memory_bytes"))),
        Series(_("All processes"), _scaled(found.most("turnkey_process_memory_bytes")), "soft"),
    ]
    return [
        draw.times(
            "page-times",
            _("Time to answer a request"),
            _shares(found, "turnkey_http_request_seconds"),
        ),
        draw.bars("requests", _("Requests"), answered),
        draw.counts("pool", _("Connections to the database"), connections),
        draw.times(
            "statements", _("Time of a statement"), _shares(found, "turnkey_db_statement_seconds")
        ),
        draw.counts("memory", _("Memory"), memory, say=_megabytes),
    ]


def _shares(found: Readings, name: str, **wanted: str) -> list[Series]:
    return [
        Series("p50", found.within(name, 0.5, **wanted), "soft"),
        Series("p95", found.within(name, 0.95, **wanted)),
        Series("p99", found.within(name, 0.99, **wanted), "faint"),
    ]


def _limit(word: str) -> str:
    known = LIMITS.get(word) or VENDORS.get(word)
    return str(known) if known is not None else word


def _scaled(values: Values) -> Values:
    return tuple(None if value is None else value / _MEGA for value in values)


def _megabytes(value: float) -> str:
    return _("%(n)s MB", n=dates.number(round(value, 1 if value < 10 else 0)))
