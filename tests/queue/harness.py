"""`python -m tests.queue.harness worker|clock`: the real processes with sample jobs."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

from app.queue.registry import JOBS, MAINTENANCE, PINS, JobSpec

HERE = "tests.queue.sample_jobs"


def install() -> None:
    """Add the sample jobs, and put traces in the place of the real upkeep."""
    for name in ("quick", "slow", "again", "asks_database", "fails"):
        JOBS[f"sample.{name}"] = JobSpec(
            f"sample.{name}", f"{HERE}.{name}", PINS, 30, prefix=name.replace("_", "-")
        )
    JOBS["sample.endless"] = JobSpec("sample.endless", f"{HERE}.endless", PINS, 2, prefix="endless")
    for name in list(JOBS):
        if JOBS[name].periodic:
            JOBS[name] = replace(JOBS[name], cron=None, every=None)
    JOBS["sample.tick"] = JobSpec(
        "sample.tick", f"{HERE}.tick", MAINTENANCE, 30, every=timedelta(seconds=2)
    )
    JOBS["maintenance.sweep"] = replace(JOBS["maintenance.sweep"], path=f"{HERE}.sweep")
    JOBS["maintenance.heartbeat"] = replace(JOBS["maintenance.heartbeat"], path=f"{HERE}.heartbeat")
    JOBS["maintenance.farewell"] = replace(JOBS["maintenance.farewell"], path=f"{HERE}.farewell")


def main() -> int:
    install()
    if sys.argv[1] == "clock":
        from app.queue import clock

        return clock.main()
    import worker

    return worker.main()


if __name__ == "__main__":
    sys.exit(main())
