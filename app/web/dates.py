"""Moments and days in the words of the front desk and of operations (design/UI.md §11)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import flask_babel
from babel import dates as babel_dates
from babel.numbers import format_currency, format_decimal
from flask import g, has_request_context

from app import clock


def _locale() -> str:
    found: str | None = g.get("locale_name") if has_request_context() else None
    if found is None:
        found = str(flask_babel.get_locale() or "en")
        if has_request_context():
            g.locale_name = found
    return found


def _portuguese() -> bool:
    return _locale().startswith("pt")


@lru_cache(maxsize=4096)
def format_date(day: date, pattern: str, locale: str) -> str:
    """Babel's, remembered: a list of a hundred stays names the same days over and over."""
    return babel_dates.format_date(day, pattern, locale=locale)


def _plain(text: str) -> str:
    """Without the full stops Portuguese puts after short names of days and months."""
    return text.replace(".", "")


def gettext(message: str, **values: object) -> str:
    """Flask-Babel's, typed; the name is the one string extraction looks for."""
    return str(flask_babel.gettext(message, **values))


def local(moment: datetime, timezone: str) -> datetime:
    """The moment on the property's wall clock."""
    return moment.astimezone(ZoneInfo(timezone))


def clock_time(moment: datetime, timezone: str) -> str:
    """15:45"""
    return f"{local(moment, timezone):%H:%M}"


def clock_time_seconds(moment: datetime, timezone: str) -> str:
    """15:45:08"""
    return f"{local(moment, timezone):%H:%M:%S}"


def clock_seconds(moment: datetime, timezone: str) -> str:
    """20 Nov 2026, 15:45:08"""
    there = local(moment, timezone)
    return f"{day_month(there.date(), year=True)}, {there:%H:%M:%S}"


def day_month(day: date, *, year: bool | None = None) -> str:
    """20 Nov; with the year when it is not this one."""
    shown = year if year is not None else day.year != clock.utcnow().year
    pattern = "d MMM y" if shown else "d MMM"
    return _plain(format_date(day, pattern, locale=_locale()))


def weekday(day: date) -> str:
    """Fri 20 Nov"""
    return _plain(format_date(day, "EEE d MMM", locale=_locale()))


def weekday_in(moment: datetime, timezone: str) -> str:
    """Fri 20 Nov, the day it is at the property"""
    return weekday(local(moment, timezone).date())


def long_day(day: date, *, year: bool = True) -> str:
    """Friday, 20 November 2026"""
    pattern = "EEEE, d MMMM" + (" y" if year else "")
    if _portuguese():
        pattern = "EEEE, d 'de' MMMM" + (" 'de' y" if year else "")
    text = format_date(day, pattern, locale=_locale())
    return text[:1].upper() + text[1:]


def day_range(first: date, last: date) -> str:
    """20–23 Nov; 28 Nov – 2 Dec"""
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day_month(last)}"
    return f"{day_month(first)} – {day_month(last)}"


def moment(at: datetime, timezone: str) -> str:
    """15:45 today, else 20 Nov 15:45"""
    there = local(at, timezone)
    if there.date() == clock.local_today(timezone):
        return f"{there:%H:%M}"
    return f"{day_month(there.date())} {there:%H:%M}"


def ago(at: datetime) -> str:
    """6 min ago; after a day, how many days"""
    seconds = max(0, int((clock.utcnow() - at).total_seconds()))
    if seconds < 60:
        return gettext("just now")
    if seconds < 3600:
        return gettext("%(n)s min ago", n=seconds // 60)
    if seconds < 86400:
        return gettext("%(n)s h ago", n=seconds // 3600)
    return gettext("%(n)s d ago", n=seconds // 86400)


def duration(span: timedelta | int | float) -> str:
    """1 min 48 s, from a timedelta or milliseconds"""
    ms = span.total_seconds() * 1000 if isinstance(span, timedelta) else float(span)
    if ms < 1000:
        return gettext("%(n)s ms", n=int(ms))
    seconds = round(ms / 1000, 1) if ms < 10_000 else int(ms / 1000)
    if seconds < 60:
        return gettext("%(n)s s", n=number(seconds))
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        if rest:
            return gettext("%(m)s min %(s)s s", m=minutes, s=rest)
        return gettext("%(m)s min", m=minutes)
    hours, minutes = divmod(minutes, 60)
    if minutes:
        return gettext("%(h)s h %(m)s min", h=hours, m=minutes)
    return gettext("%(h)s h", h=hours)


def coarse(span: timedelta) -> str:
    """2 h 12 min: for the front desk, where seconds do not matter."""
    minutes = max(1, int(span.total_seconds() // 60))
    days, minutes = divmod(minutes, 24 * 60)
    if days:
        return str(flask_babel.ngettext("%(num)d day", "%(num)d days", days))
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return gettext("%(m)s min", m=minutes)
    if not minutes:
        return gettext("%(h)s h", h=hours)
    return gettext("%(h)s h %(m)s min", h=hours, m=minutes)


def nights(first: date, last: date) -> str:
    """3 nights"""
    return str(flask_babel.ngettext("%(num)d night", "%(num)d nights", (last - first).days))


def number(value: float) -> str:
    """1,234"""
    return str(format_decimal(value, locale=_locale()))


def money(value: Any, currency: str | None) -> str:
    """BRL 1,950.00"""
    if value is None:
        return "—"
    if not currency:
        return number(value)
    return str(format_currency(value, currency, locale=_locale()))


def offset(timezone: str) -> str:
    """GMT−3"""
    there = clock.utcnow().astimezone(ZoneInfo(timezone))
    minutes = int((there.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "−" if minutes < 0 else "+"
    return f"GMT{sign}{hours}" + (f":{rest:02}" if rest else "") if minutes else "GMT"


def place(timezone: str) -> str:
    """Sao Paulo, from America/Sao_Paulo"""
    return timezone.rpartition("/")[2].replace("_", " ")


def iso(at: datetime) -> str:
    """For `<time datetime>`"""
    return at.isoformat(timespec="seconds")


FILTERS: dict[str, Callable[..., str]] = {
    "clock": clock_time,
    "clock_seconds": clock_seconds,
    "clock_time_seconds": clock_time_seconds,
    "day_month": day_month,
    "weekday": weekday,
    "weekday_in": weekday_in,
    "long_day": long_day,
    "day_range": day_range,
    "moment": moment,
    "ago": ago,
    "duration": duration,
    "coarse": coarse,
    "nights": nights,
    "number": number,
    "money": money,
    "offset": offset,
    "place": place,
    "iso": iso,
}
