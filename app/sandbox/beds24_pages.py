"""The sandbox's pages for Beds24: its bookings, and how its account behaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.sandbox import beds24_account, beds24_bookings, beds24_control, beds24_wire
from app.sandbox.beds24_records import Beds24Account, Beds24Write
from app.sandbox.context import Sandbox

Answer = str | BaseResponse | tuple[str, int]
FIELDS = (
    *("arrival", "departure", "firstName", "lastName", "email", "mobile", "status", "price"),
    "roomQty",
)
NIGHT_FIELDS = ("numAvail", "price1", "minStay")


def add_pages(bp: Blueprint, sandbox: Sandbox) -> None:
    """Everything below /beds24-bookings and /beds24-account."""
    store = sandbox.store

    def list_page(error: str = "", code: str = "") -> str:
        with store.open(changes=False) as world:
            account = world.beds24
            rows = [_row(account, b.id) for b in account.bookings.values() if not b.deleted]
            places, settings = _places(account), account.settings
            used = account.used if sandbox.now() < account.period_ends else 0.0
            left, writes = _left(account, sandbox.clock().date()), list(account.writes)
        return render_template(
            "beds24.html",
            rows=sorted(rows, key=lambda row: (row["arrival"], row["id"])),
            places=places,
            statuses=_pairs(beds24_bookings.STATUSES),
            settings=settings,
            choices={k: _pairs(v) for k, v in beds24_control.CHOICES.items()},
            used=used,
            left=left,
            rooms=[(str(room["id"]), room["name"]) for room in left],
            days=_days(sandbox.clock().date()),
            writes=[_written(write) for write in reversed(writes[-10:])],
            code=code,
            error=error,
            form=request.form,
            webhooks=[h for h in sandbox.webhooks.history() if "beds24" in h["dialect"]][:5],
        )

    @bp.get("/beds24-bookings")
    def beds24_list() -> str:
        return list_page()

    @bp.post("/beds24-bookings")
    def create_beds24() -> Answer:
        try:
            made = beds24_bookings.create(sandbox, _fields(request.form))
        except beds24_bookings.Invalid as exc:
            return list_page(str(exc)), 422
        return redirect(url_for("pages.beds24_booking", ref=made), 303)

    def booking_page(ref: int, error: str = "") -> str:
        with store.open(changes=False) as world:
            if world.beds24.booking(ref) is None:
                abort(404)
            row, places = _row(world.beds24, ref), _places(world.beds24)
        return render_template(
            "beds24_booking.html",
            row=row,
            places=places,
            statuses=_pairs(beds24_bookings.STATUSES),
            error=error,
        )

    @bp.get("/beds24-bookings/<int:ref>")
    def beds24_booking(ref: int) -> str:
        return booking_page(ref)

    @bp.post("/beds24-bookings/<int:ref>")
    def change_beds24(ref: int) -> Answer:
        try:
            beds24_bookings.change(sandbox, ref, _fields(request.form))
        except beds24_bookings.Invalid as exc:
            return booking_page(ref, str(exc)), 422
        except beds24_bookings.Unknown:
            abort(404)
        return redirect(url_for("pages.beds24_booking", ref=ref), 303)

    @bp.post("/beds24-bookings/<int:ref>/<any('cancel', 'delete'):verb>")
    def end_beds24(ref: int, verb: str) -> BaseResponse:
        try:
            (beds24_bookings.cancel if verb == "cancel" else beds24_bookings.delete)(sandbox, ref)
        except beds24_bookings.Unknown:
            abort(404)
        return redirect(url_for("pages.beds24_list"), 303)

    @bp.post("/beds24-calendar")
    def set_beds24_calendar() -> Answer:
        """Nights set by hand, as in the panel: what a comparison is there to find."""
        form = request.form
        try:
            beds24_control.set_calendar(sandbox, form.get("room"), [_range(form)])
        except ValueError as exc:
            return list_page(str(exc)), 422
        except KeyError:
            abort(404)
        return redirect(url_for("pages.beds24_list"), 303)

    @bp.post("/beds24-account")
    def change_beds24_account() -> Answer:
        form = request.form
        wanted: dict[str, Any] = {
            **{name: form.get(name) for name in beds24_control.CHOICES},
            "rotate": "rotate" in form,
            "personal_data": "personal_data" in form,
            "keep_reference": "keep_reference" in form,
        }
        try:
            wanted["credit_limit"] = float(form.get("credit_limit", ""))
            with store.open() as world:
                beds24_control.change_settings(world.beds24.settings, wanted)
        except ValueError as exc:
            return list_page(str(exc)), 422
        return redirect(url_for("pages.beds24_list"), 303)

    @bp.post("/beds24-account/invite")
    def make_beds24_invite() -> str:
        """The code is shown once, as in the real panel."""
        with store.open() as world:
            code = beds24_account.make_invite(world.beds24, sandbox.now())
        return list_page(code=code)


def _row(account: Beds24Account, ref: int) -> dict[str, Any]:
    booking = account.bookings[ref]
    room = account.room(booking.room_id)
    named = room.unit_names[booking.unit_id - 1] if room and booking.unit_id else "no unit yet"
    place = f"{booking.room_id}:{booking.unit_id or ''}"
    return beds24_wire.booking(booking) | {
        "place": place,
        "unit_name": named,
        "room_name": room.name if room else "",
    }


def _range(form: Mapping[str, str]) -> dict[str, Any]:
    """The nights and values of the form; what was left empty stays as it is. Raises ValueError."""
    found: dict[str, Any] = {"from": form.get("from"), "to": form.get("to") or form.get("from")}
    for name in NIGHT_FIELDS:
        text = form.get(name, "").strip()
        if text:
            try:
                found[name] = float(text) if name == "price1" else int(text)
            except ValueError:
                raise ValueError(f"{name}: must be a number") from None
    return found


def _days(today: date) -> list[str]:
    return list(beds24_wire.days(today, today + timedelta(days=6)))


def _left(account: Beds24Account, today: date) -> list[dict[str, Any]]:
    """What each room type has left to sell in the next week, and its price."""
    return [
        {
            "name": room.name,
            "id": room.id,
            "nights": [
                {
                    "left": account.left(room, day),
                    "price": room.calendar.get(day, {}).get("price1", room.min_price),
                }
                for day in _days(today)
            ],
        }
        for house in account.properties.values()
        for room in house.rooms.values()
    ]


def _written(write: Beds24Write) -> dict[str, Any]:
    return {
        "at": beds24_wire.instant(write.at),
        "call": write.call,
        "key": write.key or "without a key",
        "results": ", ".join(write.results),
    }


def _places(account: Beds24Account) -> list[tuple[str, str]]:
    """Every unit to book, and each room type without saying which."""
    found: list[tuple[str, str]] = []
    for house in account.properties.values():
        for room in house.rooms.values():
            found.append((f"{room.id}:", f"{room.name}, no unit yet"))
            found += [
                (f"{room.id}:{n}", f"{room.name}, {name}")
                for n, name in enumerate(room.unit_names, 1)
            ]
    return found


def _pairs(values: Iterable[str]) -> list[tuple[str, str]]:
    """Options that say what they mean."""
    return [(value, value) for value in values]


def _fields(form: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {name: form[name] for name in FIELDS if name in form}
    if "place" in form:
        fields["roomId"], _, fields["unitId"] = form["place"].partition(":")
    if not fields.get("price"):
        fields.pop("price", None)
    return fields
