"""Every job there is: its path, queue, time limit and schedule.

Paths are dotted strings so that this list, which services use, imports no job (STYLE).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

PINS = "pins"
BEDS24_INBOUND = "beds24.inbound"
STAYS_INBOUND = "stays.inbound"
PMS_OUTBOUND = "pms.outbound"
RECONCILIATION = "reconciliation"
MAINTENANCE = "maintenance"
QUEUES = (PINS, BEDS24_INBOUND, STAYS_INBOUND, PMS_OUTBOUND, RECONCILIATION, MAINTENANCE)

#: Each is a process of its own: neither a long run nor a burst of events delays a due PIN.
WORKERS: dict[str, tuple[str, ...]] = {
    "pins": (PINS,),
    "general": (BEDS24_INBOUND, STAYS_INBOUND, PMS_OUTBOUND, MAINTENANCE),
    "reconciliation": (RECONCILIATION,),
}


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job. `timeout` is in seconds; `cron` (in UTC) or `every` makes it periodic.

    `prefix` begins the fixed job id (C-52); a job without one takes no argument, and its name is
    its id. `setting` names the setting that holds its interval in minutes instead, 0 for never, and
    `cron_setting` the one that holds its cron; `at_start` has it run once when the system starts.
    """

    name: str
    path: str
    queue: str
    timeout: int
    prefix: str | None = None
    cron: str | None = None
    every: timedelta | None = None
    setting: str | None = None
    cron_setting: str | None = None
    at_start: bool = False

    def job_id(self, arg: str | None) -> str:
        """The id that every order for the same thing shares, so that a new one replaces the old."""
        if (self.prefix is None) != (arg is None):
            raise ValueError(f"{self.name} takes {'no' if self.prefix is None else 'one'} argument")
        return self.name.replace(".", "-") if arg is None else f"{self.prefix}-{arg}"

    @property
    def periodic(self) -> bool:
        return self.cron is not None or self.every is not None


_SPECS = (
    JobSpec("credentials.generate", "app.jobs.credentials.generate", PINS, 120, prefix="gen"),
    JobSpec("credentials.revoke", "app.jobs.credentials.revoke", PINS, 120, prefix="rev"),
    JobSpec("credentials.revoke_one", "app.jobs.credentials.revoke_one", PINS, 120, prefix="revc"),
    JobSpec("credentials.read_lock", "app.jobs.credentials.read_lock", PINS, 120, prefix="read"),
    JobSpec("locks.test", "app.jobs.locks.test", PINS, 120, prefix="test"),
    JobSpec(
        "locks.refresh", "app.jobs.locks.refresh", MAINTENANCE, 120, every=timedelta(minutes=10)
    ),
    JobSpec(
        "accommodations.sync", "app.jobs.accommodations.sync", RECONCILIATION, 600, prefix="sync"
    ),
    JobSpec(
        "accommodations.tick",
        "app.jobs.accommodations.tick",
        MAINTENANCE,
        60,
        cron="20 5,17 * * *",
    ),
    # The caller names the queue of the event's source.
    JobSpec("events.process", "app.jobs.events.process", STAYS_INBOUND, 120, prefix="evt"),
    JobSpec("events.batch", "app.jobs.events.batch", MAINTENANCE, 60, prefix="batch"),
    JobSpec("outbound.deliver", "app.jobs.outbound.deliver", PMS_OUTBOUND, 120, prefix="out"),
    JobSpec(
        "outbound.new_nights", "app.jobs.outbound.new_nights", MAINTENANCE, 120, cron="0 3 * * *"
    ),
    JobSpec("reconciliation.run", "app.jobs.reconciliation.run", RECONCILIATION, 900, prefix="run"),
    JobSpec(
        "reconciliation.tick_stays",
        "app.jobs.reconciliation.tick_stays",
        MAINTENANCE,
        60,
        cron="*/30 * * * *",
    ),
    JobSpec(
        "reconciliation.tick_beds24_bookings",
        "app.jobs.reconciliation.tick_beds24_bookings",
        MAINTENANCE,
        60,
        cron="7,22,37,52 * * * *",
        cron_setting="beds24_bookings_cron",
    ),
    JobSpec(
        "reconciliation.tick_beds24_availability",
        "app.jobs.reconciliation.tick_beds24_availability",
        MAINTENANCE,
        60,
        cron="12 * * * *",
        cron_setting="beds24_availability_cron",
    ),
    JobSpec(
        "reconciliation.tick_beds24_rates",
        "app.jobs.reconciliation.tick_beds24_rates",
        MAINTENANCE,
        60,
        cron="40 3 * * *",
        cron_setting="beds24_rates_cron",
    ),
    JobSpec(
        "reconciliation.tick_deep",
        "app.jobs.reconciliation.tick_deep",
        MAINTENANCE,
        60,
        cron="20 2 * * 1",
        cron_setting="deep_comparison_cron",
    ),
    JobSpec(
        "channels.keep_alive", "app.jobs.channels.keep_alive", MAINTENANCE, 180, cron="50 4 * * *"
    ),
    JobSpec(
        "maintenance.sweep",
        "app.jobs.maintenance.sweep",
        MAINTENANCE,
        60,
        every=timedelta(seconds=15),
    ),
    JobSpec(
        "rooms.sync",
        "app.jobs.rooms.sync",
        MAINTENANCE,
        60,
        every=timedelta(minutes=5),
        setting="room_sync_minutes",
        at_start=True,
    ),
    JobSpec(
        "holds.reap",
        "app.jobs.holds.reap",
        MAINTENANCE,
        120,
        every=timedelta(minutes=5),
        setting="hold_reap_minutes",
    ),
    # Once a night; the later ticks go on with what an earlier one had no time for.
    JobSpec("privacy.tick", "app.jobs.privacy.tick", MAINTENANCE, 30, cron="*/10 2-5 * * *"),
    JobSpec("privacy.retain", "app.jobs.privacy.retain", RECONCILIATION, 180),
    JobSpec("maintenance.watch", "app.jobs.maintenance.watch", MAINTENANCE, 60, cron="* * * * *"),
    JobSpec("maintenance.farewell", "app.jobs.maintenance.farewell", MAINTENANCE, 30, prefix="bye"),
    JobSpec("metrics.collect", "app.jobs.metrics.collect", MAINTENANCE, 60, cron="* * * * *"),
    JobSpec("alerts.evaluate", "app.jobs.alerts.evaluate", MAINTENANCE, 60, cron="* * * * *"),
    JobSpec("alerts.send", "app.jobs.alerts.send", MAINTENANCE, 110),
    JobSpec("letters.send", "app.jobs.letters.send", MAINTENANCE, 110),
    JobSpec("alerts.guard", "app.jobs.alerts.guard", MAINTENANCE, 60),
    JobSpec(
        "maintenance.heartbeat",
        "app.jobs.maintenance.heartbeat",
        MAINTENANCE,
        30,
        every=timedelta(seconds=15),
    ),
)

JOBS: dict[str, JobSpec] = {spec.name: spec for spec in _SPECS}
