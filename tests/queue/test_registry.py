"""The list of jobs: paths that exist, ids that RQ takes, queues that somebody works on."""

from __future__ import annotations

import importlib
import inspect
import re
from itertools import chain

import pytest
from croniter import croniter

from app.queue.registry import JOBS, QUEUES, WORKERS, JobSpec


@pytest.mark.parametrize("spec", JOBS.values(), ids=lambda spec: spec.name)
def test_a_job_is_a_function_that_takes_what_it_is_given(spec: JobSpec) -> None:
    module, _, name = spec.path.rpartition(".")
    required = [
        parameter
        for parameter in inspect.signature(
            getattr(importlib.import_module(module), name)
        ).parameters.values()
        if parameter.default is parameter.empty
    ]
    assert len(required) == (0 if spec.prefix is None else 1)
    assert not (spec.periodic and spec.prefix)  # ticks carry no argument
    assert spec.queue in QUEUES
    assert spec.timeout > 0
    assert spec.cron is None or croniter.is_valid(spec.cron)


def test_every_queue_has_one_worker() -> None:
    assert sorted(chain.from_iterable(WORKERS.values())) == sorted(QUEUES)


def test_pins_wait_for_nobody() -> None:
    """A long run must not delay a due PIN (DECISIONS, measured)."""
    assert WORKERS["pins"] == ("pins",)


def test_fixed_ids() -> None:
    """C-52: RQ takes letters, digits, _ and -."""
    ids = {name: spec.job_id("x1" if spec.prefix else None) for name, spec in JOBS.items()}
    assert ids["credentials.generate"] == "gen-x1"
    assert ids["credentials.revoke"] == "rev-x1"
    assert ids["credentials.revoke_one"] == "revc-x1"
    assert ids["credentials.read_lock"] == "read-x1"
    assert ids["events.process"] == "evt-x1"
    assert ids["reconciliation.run"] == "run-x1"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", job_id) for job_id in ids.values())
    assert len(set(ids.values())) == len(ids)
