"""The front desk: a clerk and a manager with browserless accounts, working through the JSON API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import Reservation
from app.sandbox import demo_guests
from app.transaction import transaction
from bench.season.ledger import Stay
from bench.season.premises import DESK_EMAIL, DESK_PASSWORD, MANAGER_EMAIL, Premises


class Desk:
    """Sells, moves, cancels, checks in and out; counts what it was answered."""

    def __init__(self, client: FlaskClient, premises: Premises, stir: Callable[[], None]) -> None:
        self.client, self.premises, self.stir = client, premises, stir
        self.answers: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.refusal = ""  # of the last call; empty when it was not refused
        self._tokens: dict[str, str] = {}

    def find(self, stay: Stay) -> Reservation | None:
        """The product's row of a booking, by the channel's number."""
        with transaction() as session:
            if stay.reservation_id is not None:
                return session.get(Reservation, stay.reservation_id)
            row = session.scalars(
                select(Reservation).where(
                    Reservation.channel == stay.channel, Reservation.external_id == stay.ref
                )
            ).first()
        if row is not None:
            stay.reservation_id = row.id
        return row

    def sell(self, stay: Stay) -> bool:
        """A direct booking of a kind of room; the house's system says whether there is one."""
        guest = demo_guests.make(f"season:{stay.number}", stay.number)
        answer = self._call(
            "sell",
            "post",
            "/reservations",
            {
                "property_id": str(self.premises.property_id),
                "room_type_id": str(stay.room.kind_id),
                "check_in": stay.arrival.isoformat(),
                "check_out": stay.departure.isoformat(),
                "guest_name": guest.name,
                "guest_email": guest.email,
                "amount": str(stay.demand.nightly * stay.demand.nights),
            },
        )
        if answer.status_code != 201:
            return False
        stay.reservation_id = UUID(answer.json["reservation"]["id"])  # type: ignore[index]
        stay.ref = str(stay.reservation_id)
        return True

    def move(self, stay: Stay, arrival: date, departure: date) -> bool:
        """Other nights for a direct booking."""
        row = self.find(stay)
        days = {"check_in": arrival.isoformat(), "check_out": departure.isoformat()}
        return row is not None and self._did(
            "move", "patch", f"/reservations/{row.id}", days | {"version": row.version}
        )

    def cancel(self, stay: Stay) -> bool:
        row = self.find(stay)
        return row is not None and self._did("cancel", "post", f"/reservations/{row.id}/cancel")

    def check_in(self, stay: Stay) -> bool:
        """Whether the guest could be checked in; one who cannot has nowhere to stay here."""
        row = self.find(stay)
        if row is None:
            self.refusal = "not known"
            self.refusals["check in: not known"] += 1
            return False
        return self._did("check in", "post", f"/reservations/{row.id}/check-in", {})

    def check_out(self, stay: Stay) -> None:
        if (row := self.find(stay)) is not None:
            self._did("check out", "post", f"/reservations/{row.id}/check-out")

    def no_show(self, stay: Stay) -> bool:
        row = self.find(stay)
        return row is not None and self._did("no-show", "post", f"/reservations/{row.id}/no-show")

    def clean(self, door: str) -> None:
        room = next(room for room in self.premises.rooms if room.device_id == door)
        self._did("clean", "patch", f"/rooms/{room.id}", {"housekeeping": "clean"})

    def retry_deliveries(self) -> None:
        """Have what was given up on its way to a channel tried again, all at once."""
        wanted = {"filter": {"direction": "outbound", "status": "failed"}}
        path = "/events/batch-retry"
        self._call("retry deliveries", "post", path, wanted, who=MANAGER_EMAIL)

    def _did(self, what: str, method: str, path: str, body: Any = None) -> bool:
        return self._call(what, method, path, body).status_code < 300

    def _call(
        self, what: str, method: str, path: str, body: Any = None, *, who: str = DESK_EMAIL
    ) -> TestResponse:
        answer = self._send(method, path, body, who)
        if answer.status_code == 401:
            self._sign_in(who)
            answer = self._send(method, path, body, who)
        self.refusal = ""
        self.answers[f"{what}: {answer.status_code}"] += 1
        if answer.status_code >= 400:
            said = answer.get_json(silent=True) or {}
            reasons = [error["message"] for error in said.get("errors", ())] or [
                said.get("detail") or said.get("title") or "?"
            ]
            self.refusal = _plain(reasons[0])
            self.refusals[f"{what}: {answer.status_code} {self.refusal}"] += 1
        self.stir()
        return answer

    def _send(self, method: str, path: str, body: Any, who: str) -> TestResponse:
        call, token = getattr(self.client, method), self._tokens.get(who, "")
        answer: TestResponse = call(
            f"/api/admin{path}", json=body, headers={"Authorization": f"Bearer {token}"}
        )
        return answer

    def _sign_in(self, who: str) -> None:
        answer = self.client.post("/api/auth/token", json={"email": who, "password": DESK_PASSWORD})
        self._tokens[who] = (answer.get_json(silent=True) or {}).get("access_token", "")


def _plain(reason: str) -> str:
    """A reason without numbers and names, so that equal ones are counted together."""
    words = ["…" if any(c.isdigit() for c in word) else word for word in reason.split()]
    return " ".join(words)[:120]
