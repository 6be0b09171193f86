"""`privacy retain` at a terminal."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from app import clock as app_clock
from tests.conftest import Clock
from tests.factories import make_stay, reload


def test_it_counts_first_and_then_removes(app: Flask, clock: Clock) -> None:
    out = app_clock.utcnow() - timedelta(days=31)
    stay = make_stay(check_in=out - timedelta(days=2), check_out=out)
    run = app.test_cli_runner()
    dry = run.invoke(args=["privacy", "retain", "--dry-run"])
    assert (dry.exit_code, dry.output) == (0, "guests: 1\n1 would go.\n")
    assert reload(stay).guest_name == "Ana Souza"
    assert run.invoke(args=["privacy", "retain"]).output == "guests: 1\n1 removed or emptied.\n"
    assert reload(stay).guest_name is None
    assert run.invoke(args=["privacy", "retain"]).output == "0 removed or emptied.\n"
