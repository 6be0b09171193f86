"""The audit log as JSON (INTERFACES §5)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient

from app.services import audit
from app.services.audit import Actor, Deed
from app.transaction import transaction
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID


def test_entries_with_their_fields_newest_first(api: Call, clock: Clock) -> None:
    thing = uuid4()
    with transaction() as session:
        audit.record(session, Actor("ruth@x.org", uuid4(), "admin", "10.0.0.7"), "map", "room", 1)
    clock.move(minutes=1)
    with transaction() as session:
        deed = Deed("reveal", "reservation", thing, None, {"credential_id": "c"})
        audit.record_many(session, Actor("davi@x.org"), [deed])
    answer: Any = api("GET", "/audit").json
    assert answer["pagination"] == {"page": 1, "limit": 50, "total": 2, "totalPages": 1}
    newest = dict(answer["audit"][0])
    id_ = newest.pop("id")
    assert newest == {
        "at": "2026-03-10T12:01:00Z",
        "actor": "davi@x.org",
        "action": "reveal",
        "entity": "reservation",
        "entity_id": str(thing),
        "before": None,
        "after": {"credential_id": "c"},
        "ip": None,
    }
    assert api("GET", f"/audit/{id_}").json == answer["audit"][0]
    ruths: Any = api("GET", "/audit?actor=ruth@x.org").json
    assert [row["ip"] for row in ruths["audit"]] == ["10.0.0.7"]
    assert api("GET", f"/audit/{NO_SUCH_ID}").status_code == 404
    assert api("GET", "/audit?from=never").status_code == 400


def test_only_administrators(client: FlaskClient, staff: Headers) -> None:
    assert client.get("/api/admin/audit", headers=staff).status_code == 403
    assert client.get("/api/admin/audit").status_code == 401
