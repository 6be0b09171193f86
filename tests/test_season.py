"""A small season with everything that goes wrong, and what must hold after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from app import config
from app.factory import create_app
from app.local.engines import TestEngines
from bench.season import demand, figures, report
from bench.season.simulation import Options, Season
from tests.conftest import database_url

Play = Callable[[Options], dict[str, Any]]


@pytest.fixture
def play(
    engines: TestEngines,
    migrated_template: str,
    redis: Any,
    redis_url: str,
    worker_id: str,
    make_settings: Callable[..., config.Settings],
    tmp_path: Path,
) -> Iterator[Play]:
    """Plays a season on a database of its own; its figures."""
    name = f"turnkey_season_{worker_id}"
    url = database_url(engines, name)

    def make(environment: Mapping[str, str]) -> Flask:
        settings = make_settings(
            DATABASE_URL=url, REDIS_URL=redis_url, LOG_LEVEL="CRITICAL", **environment
        )
        return create_app(settings, testing=True)

    def play(options: Options) -> dict[str, Any]:
        season = Season(options, make, url, tmp_path)
        with season.open():
            season.play()
            return figures.collect(season)

    with psycopg.connect(engines.database_url, autocommit=True) as admin:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        admin.execute(drop)
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(migrated_template)
            )
        )
        yield play
        admin.execute(drop)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_a_few_days_with_everything_that_goes_wrong(play: Play) -> None:
    found = play(
        Options(days=2, rooms=6, seed=7, first=date(2026, 10, 24), asked=2.0, ahead=0.02, harder=5)
    )
    assert report.broken(found) == [], found["breaches"] or found["causes"]
    assert found["changes_of_clocks"] == 1
    assert found["pins"]["guests"] >= 5
    assert found["judged"]["strangers who tried"] > 500
    assert len(found["troubles"]) > 8
    assert found["once_at_each_side"]["once"] >= 10
    assert found["desk"]["retry deliveries: 200"] > 20
    assert not [each for each in found["desk"] if each.startswith("retry") and "200" not in each]

    when = {"at": "2026-10-24T13:59:59+00:00", "stay": 7}
    shut = when | {"channel": "stays", "room": "stays", "cause": "its lock was offline", "desk": ""}
    breach = when | {"what": "another door opened", "detail": ""}
    told = report.document([found | {"locked_out": [shut], "breaches": [breach]}])
    assert "| 2026-10-24 14:59 | 7 | stays | stays | its lock was offline |  |" in told
    assert "| 2026-10-24 14:59 | another door opened | 7 |  |" in told


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_the_night_in_which_clocks_go_back(play: Play) -> None:
    """SEASON_SEED plays another one; longer seasons are `bin/season`'s."""
    seed = int(os.environ.get("SEASON_SEED") or 11)
    found = play(Options(days=4, rooms=8, seed=seed, first=date(2026, 10, 23), ahead=0.1, harder=2))
    assert report.broken(found) == [], f"SEASON_SEED={seed}: {found['breaches']} {found['causes']}"
    assert found["pins"]["guests"] > 2
    assert found["changes_of_clocks"] == 1


def test_bookings_are_drawn_from_the_figures_of_real_ones() -> None:
    found = demand.drawn(Random(1), date(2026, 9, 14), 90, 120)
    cancelled = sum(each.cancelled_at is not None for each in found) / len(found)
    assert 0.50 < cancelled < 0.57
    kept = [each for each in found if each.cancelled_at is None]
    assert 3.5 < sum(each.nights for each in kept) / len(kept) < 4.5
    assert all(each.cancelled_at is None or each.booked_at < each.cancelled_at for each in found)
    assert found == demand.drawn(Random(1), date(2026, 9, 14), 90, 120)


HEAD = (
    "is_canceled,lead_time,arrival_date_year,arrival_date_month,arrival_date_day_of_month,"
    "stays_in_weekend_nights,stays_in_week_nights,adults,children,distribution_channel,"
    "booking_changes,adr,reservation_status,reservation_status_date"
)


def test_bookings_are_read_from_a_file_of_real_ones(tmp_path: Path) -> None:
    path = tmp_path / "bookings.csv"
    rows = (
        "0,10,2016,March,5,1,2,2,0,TA/TO,1,80.5,Check-Out,3/8/2016",
        "1,30,2016,March,7,0,2,2,NA,Direct,0,-6.4,Canceled,2/26/2016",
        "0,0,2015,July,1,0,0,1,0,Direct,0,0,Check-Out,7/1/2015",
    )
    path.write_text("\n".join((HEAD, *rows)))
    first = date(2026, 9, 14)
    kept, cancelled = sorted(
        demand.read(path, Random(1), first, 90), key=lambda each: each.cancelled_at is not None
    )
    assert (kept.nights, kept.changes, kept.nightly) == (3, 1, 80)
    assert kept.arrival.weekday() == date(2016, 3, 5).weekday()
    assert first <= kept.arrival < first + timedelta(days=91)
    assert (kept.arrival - kept.booked_at.date()).days == 10
    assert cancelled.cancelled_at is not None
    assert (cancelled.nightly, cancelled.direct) == (0, True)
    assert (cancelled.arrival - cancelled.cancelled_at.date()).days == 10


def test_of_a_long_file_so_many_are_left_as_the_house_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "bookings.csv"
    row = "0,10,2016,March,{},1,2,2,0,TA/TO,1,80.5,Check-Out,3/30/2016"
    path.write_text("\n".join((HEAD, *(row.format(1 + n % 28) for n in range(400)))))
    first = date(2026, 9, 14)
    every = demand.read(path, Random(1), first, 14)
    some = demand.read(path, Random(1), first, 14, nights_asked=300)
    assert len(every) == 400
    assert sum(each.nights for each in some) == 300
    assert some == sorted(some, key=lambda each: each.booked_at)
