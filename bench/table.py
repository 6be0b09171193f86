"""Turns the benchmarks' lines into the tables of docs/performance.md, between their markers."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
KEYS = ("name", "value", "unit", "floor", "ratio", "n")
#: beginning of a figure's name -> the benchmark that prints it
COMMANDS = {
    "reconcile_": "reconcile",
    "compare_": "reconcile",
    "webhook_": "webhooks",
    "event_processing": "webhooks",
    "reservations_page_": "pages",
    "events_page_": "console",
    "metrics_scrape_": "metrics",
    "due_pins_": "pins",
    "pin_due_": "pins",
    "match_": "matching",
    "room_repair_": "rooms",
    "booking_": "bookings",
    "memory": "memory",
}
SIZES = ("1k", "10k", "100k")
CREWS = ("1", "2", "4", "8")
Line = Mapping[str, Any]


def publish(lines: Path, page: Path = PAGE) -> None:
    """Write the tables of the lines in a file into a page; a table without lines stays as it is.

    What is no line of ours is passed over; of two lines of one name the later one counts. Raises
    ValueError when the page has lost its markers.
    """
    found = read(lines.read_text().splitlines())
    text = page.read_text()
    for name, rows in tables(found, machine(), date.today()).items():  # noqa: DTZ011
        text = replaced(text, name, rows)
    page.write_text(text)


def read(texts: Iterable[str]) -> dict[str, Line]:
    """The lines by name, in their order."""
    found: dict[str, Line] = {}
    for text in texts:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and set(line) == set(KEYS):
            found[line["name"]] = line
    return found


def tables(found: Mapping[str, Line], where: str, day: date) -> dict[str, list[str]]:
    """The rows of each table there are lines for, by its name in the page's markers."""
    made = {"figures": _figures(found, where), "growth": _growth(found), "workers": _crews(found)}
    said = f"{day.isoformat()}, {where}."
    return {name: [said, "", *rows] for name, rows in made.items() if len(rows) > 2}


def replaced(text: str, name: str, rows: Sequence[str]) -> str:
    """The page with another table between the markers of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"the page has no markers {begin} and {end}")
    before, _, rest = text.partition(begin)
    return "\n".join([f"{before}{begin}", "", *rows, "", f"{end}{rest.partition(end)[2]}"])


def _figures(found: Mapping[str, Line], where: str) -> list[str]:
    """Everything that is compared with a floor."""
    rows = _head("Figure", "Value", "Floor", "Ratio", "Rows", "Machine", "Command")
    short = where.partition(",")[0]
    for name, line in found.items():
        bench = next((b for start, b in COMMANDS.items() if name.startswith(start)), None)
        if bench is not None:
            value = f"{_number(line['value'])} {line['unit']}"
            n, command = f"{line['n']:,}", f"`bin/bench {bench}`"
            floor, ratio = _number(line["floor"]), _number(line["ratio"])
            rows.append(_row(f"`{name}`", value, floor, ratio, n, short, command))
    return rows


def _growth(found: Mapping[str, Line]) -> list[str]:
    """What costs how much at each size."""
    heads = [f"ms p95 at {size.replace('k', ',000')}" for size in SIZES]
    rows = _head("What", *heads, "100,000 to 1,000", "Statements", "Blocks of the database")
    for name in found:
        match = re.fullmatch(r"growth_(\w+)_1k", name)
        if match is None or match[1].endswith(("_statements", "_blocks")):
            continue
        times = [_value(found, f"growth_{match[1]}_{size}") for size in SIZES]
        growth = _number(found.get(f"growth_{match[1]}_100k", {}).get("ratio"))
        series = [
            " → ".join(_value(found, f"growth_{match[1]}_{what}_{size}") for size in SIZES)
            for what in ("statements", "blocks")
        ]
        rows.append(_row(match[1].replace("_", " "), *times, growth, *series))
    return rows


def _crews(found: Mapping[str, Line]) -> list[str]:
    """What more workers bring, and what they cost each other."""
    rows = _head("What", *(f"{number} workers" for number in CREWS))
    rows[0] = rows[0].replace("1 workers", "1 worker")
    for name, line in found.items():
        match = re.fullmatch(r"((?:workers|web_threads)\w*?)_1", name)
        if match is not None:
            shown = [_with_gain(found.get(f"{match[1]}_{number}")) for number in CREWS]
            rows.append(_row(f"`{match[1]}`, {line['unit']}", *shown))
    return rows


def _with_gain(line: Line | None) -> str:
    if line is None:
        return ""
    ratio = "" if line["ratio"] is None else f" ({_number(line['ratio'])} × floor)"
    return f"{_number(line['value'])}{ratio}"


def _value(found: Mapping[str, Line], name: str) -> str:
    return _number(found[name]["value"]) if name in found else ""


def _number(value: float | None) -> str:
    """Three figures that matter, as people write them."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _head(*names: str) -> list[str]:
    return [_row(*names), _row(*("---" if not at else "---:" for at in range(len(names))))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """What the figures were taken on."""
    kilobytes = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    memory = f"{round(int(kilobytes[1]) / 2**20)} GB" if kilobytes else "memory unknown"
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    name = processor[1].strip() if processor else platform.machine()
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {memory}, {name}, Python {platform.python_version()}"
