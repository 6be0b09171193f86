"""The season's report: broken promises first, then every figure, then what was not real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bench.season.excuses import Excuses

Figures = Mapping[str, Any]

#: what is simulated, said in every report
SIMULATED = (
    "The guests, their bookings and the vendors are simulated: the vendors' stand-ins answer over "
    "real HTTP, with their real signatures, tokens, credits and encryption, in the season's time.",
    "PostgreSQL and Redis are real; SQL's `now()` follows the season. All the product's processes "
    "are played by one thread, one job after the other: races between processes are the fault "
    "suite's subject, not this one's.",
    "A killed worker is an exception that nothing handles, before or after a vendor's call or a "
    "commit; its leases and claims stay behind. No operating-system process dies here.",
    "A vendor that is slow to answer is left out (real seconds are not the season's); one that "
    "loses its answers is not.",
    "Time passes only between jobs and where the product waits: a job itself takes no time.",
    "A sweep that would find nothing is not run: it comes on its ten-second grid once a row is due "
    "that no job has taken up, by the minute while the same row stays due, and hourly anyway.",
    "A lock whose list has been the same for six readings is not read again until it changes, two "
    "hours have passed or the cloud was in trouble.",
    "A run of the reconciliation is played when its channel had news or trouble since the last "
    "one, and otherwise every two hours (free units: four); all keep to their real minutes.",
    "Housekeeping touches nine of ten doors of the day's arrivals before 13:00, and guests "
    "theirs in the evening; between touches, half of the locks sleep.",
    "Guests are shown a PIN as the product has it; its pages and mails are not in the play.",
    "Nobody answers alerts or discrepancies: what a clerk would mend with a button stays as it "
    "is, and whoever comes for it stands there. Only what was given up on its way to a channel is "
    "tried again, each hour from 8 to 22.",
    "Runs, discrepancies and events are counted as they stand on record at the end: a run goes "
    "after two weeks, as in life (retention); how many were played stands among the jobs.",
)


def broken(figures: Figures) -> list[str]:
    """Every promise that the season saw broken, in a sentence; empty when all were kept."""
    pins, judged, once = figures["pins"], figures["judged"], figures["once_at_each_side"]
    said = [
        (judged.get("strangers who got in", 0), "strangers got in"),
        (len(_of(figures, "last guest's")), "last guests' PINs opened the next guest's door"),
        (len(_of(figures, "outlived")), "PINs outlived their stay for no outward reason"),
        (pins["late_because_of_us"], "PINs were late for no outward reason"),
        (pins["failed_because_of_us"], "guests stood before a locked door for no outward reason"),
        (once.get("missing", 0), "bookings of a channel are missing in the product"),
        (once.get("more than once", 0), "bookings stand more than once"),
        (once.get("in another state", 0), "bookings stand in another state than at their channel"),
        (once.get("twice at Beds24", 0), "bookings of ours stand twice at Beds24"),
        (
            figures["pins_left_on"].get(Excuses.NONE, 0),
            "PINs of stays that are over are still on locks within reach",
        ),
        (len(figures["jobs_failed"]), "kinds of jobs failed with an error nobody expected"),
        *((each["count"], f"rows break: {each['check']}") for each in figures["consistency"]),
    ]
    return [f"{count} {what}" for count, what in said if count]


def _of(figures: Figures, words: str) -> list[Any]:
    return [each for each in figures["breaches"] if words in each["what"]]


def summary(figures: Figures) -> list[tuple[str, str]]:
    """The report in ten lines."""
    pins, judged, booked = figures["pins"], figures["judged"], figures["bookings"]
    events = figures["events"]
    ended = sum(row["n"] for row in events if row["status"] in ("done", "ignored"))
    runs = figures["runs"]
    good = sum(row["n"] for row in runs if row["status"] == "success")
    open_ = sum(row["n"] for row in figures["discrepancies"] if row["status"] == "open")
    return [
        ("Stays; guests who came", f"{booked['stays of the season']:,}; {pins['guests']:,}"),
        ("PINs on time", _share(pins["on_time"], pins["guests"])),
        (
            "late; of these unexplained",
            f"{_share(pins['late'], pins['guests'])}; {pins['late_because_of_us']}",
        ),
        (
            "guests before a locked door; unexplained",
            f"{_share(pins['failed'], pins['guests'])}; {pins['failed_because_of_us']}",
        ),
        (
            "strangers who tried; who got in",
            f"{judged.get('strangers who tried', 0):,}; {judged.get('strangers who got in', 0)}",
        ),
        ("PINs that outlived a stay, unexplained", str(len(_of(figures, "outlived")))),
        ("Events; ended well", f"{sum(row['n'] for row in events):,}; {ended:,}"),
        ("Runs; successful", f"{sum(row['n'] for row in runs):,}; {good:,}"),
        (
            "Discrepancies opened; open at the end",
            f"{sum(row['opened'] for row in figures['discrepancies']):,.0f}; {open_}",
        ),
        ("Bookings once at each side", _share(*_once(figures))),
    ]


def _once(figures: Figures) -> tuple[int, int]:
    once = dict(figures["once_at_each_side"])
    for apart in ("twice at Beds24", "cancelled before it was known"):
        once.pop(apart, None)
    return once.get("once", 0), sum(once.values())


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({part / whole:.2%})" if whole else "")


def markdown(figures: Figures) -> str:
    """One season as a section of docs/season.md."""
    lines = [f"## `{figures['command']}`", ""]
    promises = broken(figures)
    if promises:
        lines += ["**Promises that were broken:**", "", *(f"- {each}" for each in promises), ""]
    else:
        lines += ["No promise was broken.", ""]
    lines += _table(("Figure", "Value"), summary(figures))
    if figures["days"] < figures["days_asked"]:
        lines += [f"It was stopped from outside after {figures['days']} days.", ""]
    lines += [
        f"{figures['days']} days of {figures['rooms']} rooms from "
        f"{figures['first']} on, {figures['zone']}; the clocks changed "
        f"{figures['changes_of_clocks']} times. {figures['seconds']:,} real seconds on "
        f"{figures['machine']}, {figures['moments']:,} moments, "
        f"{sum(figures['jobs'].values()):,} jobs, {figures['sweeps']:,} sweeps.",
        "",
        "### PINs that were late, and guests before a locked door, by cause",
        "",
    ]
    pins = figures["pins"]
    causes = [("late", name, n) for name, n in pins["late_causes"].items()]
    causes += [("locked door", name, n) for name, n in pins["failed_causes"].items()]
    lines += _table(("What", "Cause", "How many"), causes)
    others = [
        (name, cause, count)
        for name, found in figures["causes"].items()
        if name in ("outlived its stay", "shut in the evening")
        for cause, count in found.items()
    ]
    if others:
        lines += _table(("Also", "Cause", "How many"), others)
    if figures.get("locked_out"):
        lines += _table(
            ("Before a locked door", "Stay", "Sold by", "Room of", "Cause", "The desk said"),
            sorted(
                (_by_its_clocks(each["at"], figures["zone"]), *list(each.values())[1:])
                for each in figures["locked_out"]
            ),
        )
    if figures["breaches"]:
        lines += ["### What must not happen, and did", ""]
        lines += _table(
            ("When", "What", "Stay", "More"),
            [
                (_by_its_clocks(b["at"], figures["zone"]), b["what"], b["stay"], b["detail"])
                for b in figures["breaches"][:30]
            ],
        )
    lines += ["### Events, runs, discrepancies, alerts", ""]
    lines += _table(
        ("Direction", "Source", "Status", "Events", "Median s", "p99 s", "Longest s"),
        [tuple(row.values()) for row in figures["events"]],
    )
    lines += _table(
        ("Run", "Status", "Why", "Runs", "Created", "Updated", "Deleted"),
        [tuple(row.values()) for row in figures["runs"]],
    )
    lines += _table(
        ("Discrepancy", "Status", "Rows", "Times opened"),
        [tuple(row.values()) for row in figures["discrepancies"]],
    )
    lines += _table(
        ("Alert", "Raised", "Open at the end"),
        [tuple(row.values()) for row in figures["alerts"]],
    )
    lines += ["### What was played", ""]
    for title, name in (
        ("Bookings", "bookings"),
        ("Looked at", "judged"),
        ("PINs of stays that are over, not yet proven gone, by cause", "pins_left_on"),
        ("Each booking, compared from outside", "once_at_each_side"),
        ("What went wrong", "troubles"),
        ("Messages of the channels", "messages"),
        ("The front desk and its answers", "desk"),
        ("Refusals of the front desk", "refusals"),
        ("Calls to the vendors", "calls"),
    ):
        lines += _table((title, "Count"), figures[name].items())
    return "\n".join(lines)


def _by_its_clocks(moment: str, zone: str) -> str:
    """To the minute, as the house's clocks show it; empty when there is none."""
    if not moment:
        return ""
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def document(seasons: Sequence[Figures]) -> str:
    """docs/season.md: what a season is, what it is not, and every one that was played."""
    coarse = ", ".join(f"`{job}` {n}" for job, n in seasons[0]["coarse_minutes"].items())
    lines = [
        "# A season",
        "",
        "`bin/season` plays a season of a house against the product's own services: its bookings, "
        "changes and cancellations are drawn from the figures of real ones (N. Antonio, A. de "
        'Almeida, L. Nunes, "Hotel booking demand datasets", Data in Brief 22, 2019, CC BY 4.0) or '
        "read from such a file, and things go wrong all the time. What came of it is judged at the "
        "keypads. This page is written by `bin/season --write-docs`.",
        "",
        "A PIN is *on time* when it opens its door a minute after check-in less two hours (or two "
        "minutes after a booking or change that came later), *late* when it opens by the time the "
        "guest stands there, and the guest stood *before a locked door* when it did not open "
        "within 45 seconds of their first touch. A cause is named from the plan of what went "
        "wrong, never from the product's own words; what the plan does not explain counts "
        "against the product.",
        "",
        "What is simulated, and what is not:",
        "",
        *(f"- {line}" for line in SIMULATED),
        f"- Less often than in life, in minutes: {coarse}.",
        "",
        *(markdown(each) + "\n" for each in seasons),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    found = [[_cell(value) for value in row] for row in rows]
    if not found:
        return [f"{heads[0]}: none.", ""]
    return [
        f"| {' | '.join(heads)} |",
        f"| {' | '.join('---' for _ in heads)} |",
        *(f"| {' | '.join(row)} |" for row in found),
        "",
    ]


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value).replace("|", "\\|")
