"""Events repaired from a terminal (INTERFACES §3)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from click.testing import Result
from flask import Flask

from tests.events import deeds, make_event
from tests.factories import reload


def run(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=["events", *args])


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["retry"], "received", "Retried"),
        (["replay"], "received", "Replayed"),
        (["ignore", "--reason", "a test"], "ignored", "Ignored"),
    ],
)
def test_each_command(app: Flask, command: list[str], status: str, said: str) -> None:
    one, two = make_event(), make_event()
    result = run(app, *command, str(one.id), str(two.id))
    assert result.exit_code == 0
    assert result.output == f"{said} {one.id}.\n{said} {two.id}.\n"
    assert [reload(each).status for each in (one, two)] == [status, status]
    assert {row.actor for row in deeds(command[0])} == {"command line"}


def test_what_is_refused_does_not_stop_the_others(app: Flask) -> None:
    done, failed, strange = make_event("done"), make_event(), uuid4()
    result = run(app, "retry", str(done.id), str(failed.id), str(strange))
    assert result.exit_code == 1
    assert f"{done.id}: the event is done" in result.stderr
    assert f"{strange}: no such event" in result.stderr
    assert result.stdout == f"Retried {failed.id}.\n"


def test_ignoring_takes_ids_alone_and_no_blank_reason(app: Flask) -> None:
    """INTERFACES §3 names no option; the audit log says at least where it was done."""
    event = make_event()
    assert run(app, "ignore", str(event.id), "--reason", " ").exit_code == 1
    assert reload(event).status == "failed"
    assert run(app, "ignore", str(event.id)).exit_code == 0
    assert reload(event).status == "ignored"
    (row,) = deeds("ignore")
    assert row.after is not None
    assert row.after["reason"] == "closed from the command line"
