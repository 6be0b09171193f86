"""`/metrics` over 100,000 events, 2,000 of them failed, with 400 series counted: server time.

Floor: the liveness probe, an answer of the same stack that asks nobody. Nothing is remembered from
one scrape to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench import console
from bench.house import House, percentile, result, seconds

FULL = 100_000
SCRAPES = 60
#: as many as a house with every door in use has
ROUTES = 120


def run(house: House) -> Iterator[dict[str, Any]]:
    from sqlalchemy import event

    from app.api import tokens
    from app.extensions import db
    from app.services import metrics, users
    from bench.visits import counted

    count = house.rows(FULL)
    house.empty()
    console.fill(house, count)
    with house.app.app_context():
        _count(house.redis_url)
        user = users.create("scraper@example.org", "bench-password-1", "admin")
        headers = {"Authorization": f"Bearer {tokens.issue(user)}"}
    client = house.app.test_client()

    def scrape() -> float:
        metrics.forget()
        return _visit(client, "/metrics", headers)

    scrape()
    _visit(client, "/health/live", headers)
    floor = percentile([_visit(client, "/health/live", headers) for _ in range(SCRAPES)], 95)
    with house.app.app_context(), counted(event, db.engine) as statements:
        scrape()
        number = len(statements)
    times = [scrape() for _ in range(SCRAPES)]
    yield result("metrics_scrape_100k", percentile(times, 95), "ms p95", floor, count)
    yield result("metrics_scrape_100k_statements", number, "statements", None, count)


def _visit(client: Any, path: str, headers: dict[str, str]) -> float:
    def get() -> None:
        answer = client.get(path, headers=headers)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status}")

    return seconds(get) * 1000


def _count(redis_url: str) -> None:
    """Figures as a busy day leaves them."""
    from app import meters
    from app.queue.registry import JOBS

    meters.start(redis_url)
    for number in range(ROUTES):
        route = f"/route{number}/<uuid:id>"
        for status in ("2xx", "4xx"):
            meters.count("turnkey_http_requests_total", 7, route=route, method="GET", status=status)
        for took in (0.004, 0.02, 0.07, 0.3):
            meters.observe("turnkey_http_request_seconds", took, route=route)
    for job in JOBS:
        meters.count("turnkey_jobs_total", job=job, outcome="done")
        meters.observe("turnkey_job_seconds", 0.1, job=job)
    meters.flush()
