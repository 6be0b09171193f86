"""Web says that it lives, and goodbye (INTERFACES §9)."""

from __future__ import annotations

import time

from flask import Flask
from sqlalchemy import select

from app.models import ProcessHeartbeat
from app.services.presence import Presence
from app.transaction import transaction


def known() -> dict[str, str]:
    with transaction() as session:
        rows = session.execute(select(ProcessHeartbeat.name, ProcessHeartbeat.kind))
        return {row[0]: row[1] for row in rows}


def test_it_beats_until_it_ends(app: Flask) -> None:
    presence = Presence(app, "web", "web@host:1", every=0.02)
    presence.begin()
    deadline = time.monotonic() + 10
    while not known() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert known() == {"web@host:1": "web"}
    presence.end(10)
    assert known() == {}
