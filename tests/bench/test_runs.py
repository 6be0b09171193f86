"""Benchmarks run to their end on a few rows, and one that fails takes no other with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest

from app.local.environment import ROOT, VENDORS
from bench import __main__ as bench
from bench.house import result

KEYS = ["name", "value", "unit", "floor", "ratio", "n"]
#: --quick is a tenth of these
TINY = """
from bench import __main__ as bench, growth, workers
growth.SIZES, growth.VISITS, growth.ROUNDS = {"1k": 1_000, "10k": 1_500}, 2, 1
workers.CREWS, workers.PINS, workers.EVENTS = (1, 2), 100, 200
workers.STAYS, workers.VISITS = 1_000, 100
raise SystemExit(bench.main(["growth", "workers", "--quick"]))
"""


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[..., Any]], None]:
    """Put another function in the place of a benchmark; no house is built for it."""
    monkeypatch.setattr(bench, "open_house", lambda directory, scale: nullcontext(None))

    def pretend(name: str, run: Callable[..., Any]) -> None:
        module = ModuleType(f"pretended_{name}")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(bench.EVERY, name, module.__name__)

    return pretend


def test_the_others_are_printed_when_one_fails(
    pretended: Callable[[str, Callable[..., Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(house: object) -> Iterator[dict[str, Any]]:
        yield result("half", 1.0, "s", None, 1)
        raise RuntimeError("3 of 4 events done")

    pretended("pages", broken)
    pretended("rooms", lambda house: [result("whole", 2.0, "s", 0.5, 1)])
    assert bench.main(["pages", "rooms"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["half", "whole"]
    assert "3 of 4 events done" in said.err
    assert "benchmark pages FAILED" in said.err
    assert said.err.endswith("FAILED: pages\n")


def test_all_is_well_when_none_fails(
    pretended: Callable[[str, Callable[..., Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pretended("rooms", lambda house: [result("whole", 2.0, "s", 0.5, 1)])
    assert bench.main(["rooms"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert list(json.loads(line)) == KEYS
    assert json.loads(line)["ratio"] == 4.0


def test_the_slow_ones_run_only_by_name(
    pretended: Callable[[str, Callable[..., Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in bench.EVERY:
        pretended(name, lambda house, name=name: [result(name, 1.0, "s", None, 1)])
    assert bench.main([]) == 0
    ran = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert ran == list(bench.BENCHES)
    assert not {"growth", "workers"} & set(ran)


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_growth_and_workers_come_to_their_end() -> None:
    configured = ("DATABASE_URL", "REDIS_", "SANDBOX", "APP_ENV", "ADMIN_", *VENDORS)
    env = {name: value for name, value in os.environ.items() if not name.startswith(configured)}
    ran = subprocess.run(
        [sys.executable, "-c", TINY],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    found = {
        line["name"]: line
        for line in map(
            json.loads, filter(lambda text: text.startswith("{"), ran.stdout.splitlines())
        )
    }
    assert all(list(line) == KEYS for line in found.values())
    for what in (
        "reservations_page",
        "today_page",
        "room_repair",
        "desk_booking",
        "due_pins_sweep",
    ):
        later = found[f"growth_{what}_10k"]
        assert later["floor"] == found[f"growth_{what}_1k"]["value"]
        assert found[f"growth_{what}_statements_1k"]["value"] >= 1
        assert found[f"growth_{what}_blocks_1k"]["value"] >= 1
    for figure in ("workers_pins", "workers_events", "web_threads"):
        assert all(found[f"{figure}_{number}"]["value"] > 0 for number in (1, 2))
    assert found["workers_pins_deadlocks_2"]["value"] == 0
    assert found["workers_events_deadlocks_2"]["value"] == 0
