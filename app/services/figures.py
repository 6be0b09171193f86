"""Notes how our own work went, once its transaction has committed: what is undone never happened.

Each function takes plain values and states of ours; no id, name or secret goes into a label.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Protocol

from app import meters
from app.integrations import channels
from app.models import Credential, PinJob, ReconciliationLog
from app.transaction import after_commit

INBOUND, OUTBOUND = "inbound", "outbound"
#: an end that leaves nothing to do
GOOD = frozenset({"done", "stale", "ignored", "noted"})
#: the sources we know; anything else is one label
SOURCES = frozenset({*channels.KNOWN, "pms"})


class Tried(Protocol):
    """An event as its worker had it."""

    @property
    def source(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def claimed(self) -> float: ...


def event_tried(work: Tried, outcome: str, now: datetime) -> None:
    """A try at an event has ended; `outcome` is the word its attempt keeps."""
    labels = {"source": _known(work.source), "direction": work.direction}
    took = time.monotonic() - work.claimed
    delay = (now - work.received_at).total_seconds()

    def note() -> None:
        meters.observe("turnkey_event_seconds", took, **labels)
        meters.count("turnkey_event_tries_total", **labels, outcome=outcome)
        if outcome in GOOD:
            meters.observe("turnkey_event_delay_seconds", delay, **labels)

    after_commit(note)


def event_lost(source: str, direction: str) -> None:
    """A worker died with an event in its hands."""
    source = _known(source)
    after_commit(
        lambda: meters.count(
            "turnkey_event_tries_total", source=source, direction=direction, outcome="lost"
        )
    )


def pin_accepted(job: PinJob | None, now: datetime) -> None:
    """A vendor took a PIN; `job` is the order it was for, counted from when it was due."""
    after_commit(lambda: meters.count("turnkey_pin_tries_total", outcome="ok"))
    if job is not None:
        _pin_step("accepted", (now - max(job.run_at, job.created_at)).total_seconds())


def pin_refused(kind: str) -> None:
    """A try to bring a PIN to its lock failed, with an error of that kind."""
    after_commit(lambda: meters.count("turnkey_pin_tries_total", outcome=kind))


def pin_installed(credential: Credential, now: datetime) -> None:
    """A lock has the PIN its vendor accepted."""
    if credential.accepted_at is not None:
        _pin_step("installed", (now - credential.accepted_at).total_seconds())


def pin_gone(credential: Credential, now: datetime) -> None:
    """A PIN is proven gone from its lock."""
    if credential.revoke_requested_at is not None:
        _pin_step("removed", (now - credential.revoke_requested_at).total_seconds())


def run_ended(row: ReconciliationLog) -> None:
    """A reconciliation run has its status and its duration."""
    kind, status, seconds = row.kind, str(row.status), (row.duration or 0) / 1000

    def note() -> None:
        meters.observe("turnkey_reconciliation_seconds", seconds, kind=kind)
        meters.count("turnkey_reconciliation_runs_total", kind=kind, status=status)

    after_commit(note)


def notice_ended(way: str, status: str) -> None:
    """A message about an alert was taken over (sent) or given up (failed)."""
    after_commit(lambda: meters.count("turnkey_notices_total", way=way, outcome=status))


def _pin_step(step: str, seconds: float) -> None:
    after_commit(lambda: meters.observe("turnkey_pin_seconds", seconds, step=step))


def _known(source: str) -> str:
    return source if source in SOURCES else "other"
