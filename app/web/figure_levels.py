"""The service levels in words: what was reached, what was promised, and what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import url_for
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.domain import service_targets as targets
from app.domain.service_targets import Share, Verdict
from app.services.figure_readings import Span
from app.services.service_levels import Levels
from app.web import dates
from app.web.dates import gettext as _

#: the colour, the icon and the word of each verdict
CHIPS: Final = {
    Verdict.MET: ("ok", "okc", _l("Kept")),
    Verdict.NEAR: ("warn", "alert", _l("Nearly")),
    Verdict.MISSED: ("bad", "bad", _l("Missed")),
    Verdict.UNKNOWN: ("plain", "dash", _l("Nothing yet")),
}


@dataclass(frozen=True, slots=True)
class Card:
    """One promise. `details` are sentences as (text, address of the page behind it or "")."""

    id: str
    label: str
    value: str
    target: str
    verdict: Verdict
    details: Sequence[tuple[str, str]]


def cards(levels: Levels, span: Span) -> list[Card]:
    """The four promises, the guest's first."""
    return [_pins(levels, span), _left(levels), _events(levels), _runs(levels)]


def percent(share: float | None) -> str:
    """99.2%, and 100% only when nothing is missing."""
    if share is None:
        return "—"
    if share < 1:
        share = min(share, 0.999)
    return f"{dates.number(round(share * 100, 1))}%"


def _pins(levels: Levels, span: Span) -> Card:
    pins = levels.pins
    details = [(_("%(n)s on time", n=dates.number(pins.on_time)), "")]
    details += [
        (said, url_for("figures.pins", span=span.value, only=only) if number else "")
        for number, only, said in (
            (pins.late, "late", _("%(n)s late", n=dates.number(pins.late))),
            (pins.never, "never", _("%(n)s never", n=dates.number(pins.never))),
        )
    ]
    return Card(
        "pins",
        _("PIN on the lock before check-in"),
        percent(pins.share),
        _at_least(targets.PINS),
        targets.PINS.verdict(pins.share),
        details if pins.total else [(_("No stay has begun."), "")],
    )


def _left(levels: Levels) -> Card:
    number = levels.left_behind
    details = [(_("None may stay longer than a removal takes."), "")]
    if number:
        opening = levels.still_open
        details = [
            (ngettext("%(num)d still opens its door", "%(num)d still open a door", opening), "")
            if opening
            else (_("None of them opens a door any more."), ""),
            (_("See alerts"), url_for("alerts.index")),
        ]
    return Card(
        "left",
        _("PINs left on a lock past their end"),
        dates.number(number),
        _("Target: none"),
        targets.left_behind(number),
        details,
    )


def _events(levels: Levels) -> Card:
    details = [
        (_("%(n)s done", n=dates.number(levels.events_done)), ""),
        (
            _("%(n)s failed", n=dates.number(levels.events_failed)),
            url_for("events.index", status="failed") if levels.events_failed else "",
        ),
        (
            _("none waits")
            if levels.oldest_event is None
            else _("the oldest waits for %(duration)s", duration=dates.coarse(levels.oldest_event)),
            "",
        ),
    ]
    return Card(
        "events",
        _("Events dealt with"),
        percent(levels.event_share),
        _at_least(targets.EVENTS)
        + "; "
        + _("none waits longer than %(limit)s", limit=dates.coarse(targets.OLDEST[0])),
        targets.worst(
            targets.EVENTS.verdict(levels.event_share), targets.oldest(levels.oldest_event)
        )
        if levels.event_share is not None or levels.oldest_event is not None
        else Verdict.UNKNOWN,
        details,
    )


def _runs(levels: Levels) -> Card:
    said = _(
        "%(n)s of %(all)s due",
        n=dates.number(levels.runs_on_time),
        all=dates.number(levels.runs_due),
    )
    return Card(
        "runs",
        _("Reconciliation on time"),
        percent(levels.run_share),
        _at_least(targets.RUNS),
        targets.RUNS.verdict(levels.run_share),
        [(said, url_for("reconciliation.index"))]
        if levels.runs_due
        else [(_("No run was due."), "")],
    )


def _at_least(share: Share) -> str:
    return _("Target: at least %(share)s", share=percent(share.target))
