"""Plays a season and reports; exits with 1 when a promise was broken.

SIGTERM ends it with the day that is being played, and the report says so.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import psycopg
from cryptography.fernet import Fernet
from flask import Flask
from flask_migrate import upgrade

from app import config
from app.extensions import db
from app.factory import create_app
from app.local.engines import start_test_engines
from bench.season import figures, report
from bench.season.simulation import FIRST, ZONE, MakeApp, Options, Season

DOCS = Path(__file__).resolve().parents[2] / "docs" / "season.md"


def main() -> int:
    options = _options()
    if options.write_docs is not None:
        seasons = [json.loads(path.read_text()) for path in options.write_docs]
        DOCS.write_text(report.document(seasons))
        return 0
    os.environ["FLASK_SKIP_DOTENV"] = "1"
    with tempfile.TemporaryDirectory(prefix="turnkey-season-") as name:
        found = _play(options, Path(name))
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"season-{options.days}x{options.rooms}-{options.seed}"
    target.with_suffix(".json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    target.with_suffix(".md").write_text(report.document([found]))
    broken = report.broken(found)
    for line in broken:
        print(f"BROKEN: {line}")
    for what, value in report.summary(found):
        print(f"{what:45} {value}")
    print(f"All figures: {target}.json, {target}.md")
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/season", description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rooms", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same season")
    parser.add_argument("--first", type=date.fromisoformat, default=FIRST, metavar="DAY")
    parser.add_argument("--zone", default=ZONE, help="IANA name of the house's zone")
    parser.add_argument(
        "--bookings", type=Path, metavar="FILE", help="real bookings, csv or csv.gz"
    )
    parser.add_argument(
        "--harder", type=float, default=1.0, help="so many times as much goes wrong"
    )
    parser.add_argument("--no-faults", action="store_true", help="nothing goes wrong")
    parser.add_argument("--out", type=Path, default=Path("var/season"), metavar="DIR")
    parser.add_argument(
        "--write-docs",
        nargs="+",
        type=Path,
        metavar="JSON",
        help="write docs/season.md from the figures of seasons played before, and play none",
    )
    return parser.parse_args()


def _play(options: argparse.Namespace, directory: Path) -> dict[str, object]:
    wanted = Options(
        days=options.days,
        rooms=options.rooms,
        seed=options.seed,
        first=options.first,
        zone=options.zone,
        bookings=options.bookings,
        with_faults=not options.no_faults,
        harder=options.harder,
    )
    begin = time.perf_counter()

    def say(line: str) -> None:
        print(f"{line}  ({time.perf_counter() - begin:,.0f} s)", file=sys.stderr, flush=True)

    engines = start_test_engines(directory)
    try:
        with psycopg.connect(engines.database_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE season")
        url = engines.database_url.replace("/postgres?", "/season?")
        make = _maker(url, engines.redis_url, directory)
        app = make({})
        with app.app_context():
            upgrade()
            db.engine.dispose()
        season = Season(wanted, make, url, directory)
        signal.signal(signal.SIGTERM, lambda *_: season.stop())
        with season.open():
            season.play(say)
            return figures.collect(season)
    finally:
        engines.stop()


def _maker(database_url: str, redis_url: str, directory: Path) -> MakeApp:
    base = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "season-" + "x" * 40,
        "JWT_SECRET": "season-" + "y" * 40,
        "PIN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "LOG_LEVEL": "CRITICAL",
    }

    def make(environment: Mapping[str, str]) -> Flask:
        settings = config.load(base | dict(environment), var=directory / "var")
        # Testing: orders of a webhook are sent at once, and an error in a view is not hidden.
        return create_app(settings, testing=True)

    return make


if __name__ == "__main__":
    sys.exit(main())
