"""`rooms sync` at a terminal (INTERFACES §3, ROOM-24, ROOM-25)."""

from __future__ import annotations

from flask import Flask

from tests.factories import make_accommodation, reload


def test_it_says_what_it_repaired_and_then_that_nothing_is_wrong(app: Flask) -> None:
    room = make_accommodation(number="102", status="OCCUPIED")
    run = app.test_cli_runner()
    result = run.invoke(args=["rooms", "sync"])
    assert result.exit_code == 0
    assert result.output == ("102: OCCUPIED -> AVAILABLE: No checked-in guest found\n1 repaired.\n")
    assert reload(room).status == "AVAILABLE"
    assert run.invoke(args=["rooms", "sync"]).output == "All rooms in sync.\n"
