"""The benchmarks' lines as tables of a page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench import table
from bench.__main__ import EVERY
from bench.house import result


def lines(*found: dict[str, Any]) -> str:
    return "\n".join(json.dumps(line) for line in found)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(table.PAGE.read_text())
    return path


def publish(page: Path, text: str) -> str:
    source = page.with_suffix(".jsonl")
    source.write_text(text)
    table.publish(source, page)
    return page.read_text()


def test_a_figure_stands_with_its_floor_machine_and_command(page: Path) -> None:
    text = publish(page, lines(result("due_pins_500", 12.3456, "s", 0.2, 500)))
    row = next(row for row in text.splitlines() if row.startswith("| `due_pins_500` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:5] == ["12.3 s", "0.2", "61.7", "500"]
    assert re.fullmatch(r"\d+ cores", cells[5])
    assert cells[6] == "`bin/bench pins`"


def test_publishing_twice_replaces_the_first_time_and_nothing_else(page: Path) -> None:
    first = publish(page, lines(result("match_1000", 0.5, "s", 0.25, 1000)))
    second = publish(page, lines(result("match_1000", 0.75, "s", 0.25, 1000)))
    assert second == first.replace("0.5 s", "0.75 s").replace("| 2 | 1,000", "| 3 | 1,000")


def test_a_table_without_lines_stays_as_it_is(page: Path) -> None:
    grown = publish(page, lines(result("growth_today_page_1k", 5.0, "ms p95", None, 1000)))
    both = publish(page, lines(result("match_1000", 0.5, "s", 0.25, 1000)))
    assert "| today page | 5 |" in grown
    assert "| today page | 5 |" in both


def test_growth_stands_in_one_row(page: Path) -> None:
    found = []
    for size, taken, blocks in (("1k", 4.0, 100.0), ("10k", 5.0, 130.0), ("100k", 6.0, 140.0)):
        first = None if size == "1k" else 4.0
        found.append(result(f"growth_stay_page_{size}", taken, "ms p95", first, 1000))
        found.append(result(f"growth_stay_page_statements_{size}", 14.0, "statements", None, 1000))
        found.append(result(f"growth_stay_page_blocks_{size}", blocks, "blocks", None, 1000))
    text = publish(page, lines(*found))
    assert "| stay page | 4 | 5 | 6 | 1.5 | 14 → 14 → 14 | 100 → 130 → 140 |" in text


def test_workers_stand_side_by_side(page: Path) -> None:
    found = [
        result(f"workers_events_{number}", 100.0 * number, "events/s", 100.0, 2000)
        for number in (1, 2, 4, 8)
    ]
    text = publish(page, lines(*found))
    assert "| `workers_events`, events/s | 100 (1 × floor) | 200 (2 × floor) |" in text


def test_what_a_process_logged_between_the_lines_is_passed_over(page: Path) -> None:
    text = lines(result("match_1000", 0.5, "s", 0.25, 1000))
    noisy = f'2026-01-01 [warning] alert_opened\n{{"event": "log"}}\n{text}\n17\n'
    assert publish(page, noisy) == publish(page, text)


def test_a_page_without_its_markers_is_refused(page: Path) -> None:
    page.write_text("# Performance\n")
    with pytest.raises(ValueError, match="no markers <!-- figures -->"):
        publish(page, lines(result("match_1000", 0.5, "s", 0.25, 1000)))


def test_every_command_named_is_a_benchmark() -> None:
    assert set(table.COMMANDS.values()) <= set(EVERY)


def test_every_figure_the_interfaces_name_is_explained_and_has_its_command() -> None:
    explained = table.PAGE.with_name("benchmarks.md").read_text()
    for name in (
        *("reconcile_10k_new", "reconcile_10k_unchanged", "webhook_intake", "event_processing"),
        *("reservations_page_100k", "events_page_100k", "due_pins_500", "memory"),
    ):
        assert f"`{name}`" in explained
        assert any(name.startswith(start) for start in table.COMMANDS)
