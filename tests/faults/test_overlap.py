"""Two deploys at once, two clocks with them: nothing is done twice, and the old one may go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.config import ROOT
from tests.faults.desk import Desk, within
from tests.local.product import Run, engine_url, free_port

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]

STOP_SECONDS = 10  # INTERFACES §1


@contextmanager
def another_deploy(run: Run) -> Iterator[tuple[str, dict[str, subprocess.Popen[bytes]]]]:
    """The Procfile's processes once more, on the database and Redis of the first; its address."""
    port = str(free_port())
    env = run.env | {
        "DATABASE_URL": engine_url(run, "postgres"),
        "REDIS_URL": engine_url(run, "redis"),
        "PORT": port,
    }
    commands = {
        "web": ["-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"],
        "worker": ["worker.py"],
        "clock": ["-m", "app.queue.clock"],
    }
    log = run.var.with_name("second.log").open("wb")
    deploy = {
        name: subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=os.environ | env, stdout=log, stderr=log
        )
        for name, command in commands.items()
    }
    try:
        yield f"http://127.0.0.1:{port}", deploy
    finally:
        for process in deploy.values():
            if process.poll() is None:
                process.kill()
            process.wait(STOP_SECONDS)
        log.close()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def runs(desk: Desk) -> list[str]:
    rows = desk.api.get("/reconciliation/runs", params={"kind": "stays"}).json()["runs"]
    return [row["started_at"] for row in rows]


def test_two_deploys_do_everything_once(product: Run, desk: Desk) -> None:
    rooms = desk.rooms(4)
    now = datetime.now(UTC)
    begun = len(runs(desk))
    with another_deploy(product) as (url, deploy):
        assert within(40, lambda: is_ready(url)), product.said
        for number, room in enumerate(rooms[:2]):
            desk.book(room, now, now + timedelta(hours=40), f"Bento Both{number}")
        for number in range(2):
            guest = f"Bento Both{number}"
            assert within(60, lambda g=guest: desk.pin_state(g) == "active"), desk.stay(guest)

        # The newer one is told to go while work comes in: it hands back, the older one goes on.
        for process in deploy.values():
            process.terminate()
        asked = time.monotonic()
        for number, room in enumerate(rooms[2:], start=2):
            desk.book(room, now, now + timedelta(hours=40), f"Bento Both{number}")
        for name, process in deploy.items():
            process.wait(max(0.1, STOP_SECONDS - (time.monotonic() - asked)))
            assert process.returncode in (0, -15), (name, process.returncode)
        for number in (2, 3):
            guest = f"Bento Both{number}"
            assert within(90, lambda g=guest: desk.pin_state(g) == "active"), desk.stay(guest)
    for room in rooms:
        assert len(desk.on_lock(room)) == 1, "one PIN for one stay, whoever made it"
    # Two clocks: at most one run for each half hour that has passed.
    slots = int(datetime.now(UTC).timestamp() // 1800 - now.timestamp() // 1800)
    assert len(runs(desk)) - begun <= slots
