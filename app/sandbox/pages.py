"""The sandbox's own pages: bookings, locks with their keypads, and the switches for faults."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app.sandbox import beds24_pages, bookings, demo, faults, lock_device, views
from app.sandbox.context import Sandbox
from app.sandbox.records import Lock, World

MAX_TYPED = 10
Answer = str | BaseResponse | tuple[str, int]


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Everything at / and /keypad."""
    bp = Blueprint("pages", __name__)
    _booking_pages(bp, sandbox)
    beds24_pages.add_pages(bp, sandbox)
    _lock_pages(bp, sandbox)
    _fault_pages(bp, sandbox)

    @bp.context_processor
    def common() -> dict[str, Any]:
        with sandbox.store.open(changes=False) as world:
            return {
                "fault_count": len(world.faults),
                "clock": sandbox.clock().strftime("%d %b %Y %H:%M UTC"),
            }

    return bp


def _see(endpoint: str, **values: Any) -> BaseResponse:
    return redirect(url_for(f"pages.{endpoint}", **values), 303)


def _booking_pages(bp: Blueprint, sandbox: Sandbox) -> None:
    store = sandbox.store

    def listing_page(error: str = "") -> str:
        wanted, shown = request.args.get("property", ""), request.args.get("show", "current")
        with store.open(changes=False) as world:
            today = sandbox.clock().date().isoformat()
            rows = [views.booking_view(world, b) for b in world.bookings.values()]
            units = list(world.listings.values())
        total = len(rows)
        properties = list(dict.fromkeys(unit.property_name for unit in units))
        rows = [r for r in rows if not wanted or r["property"] == wanted]
        if shown == "current":
            rows = [r for r in rows if r["check_out"] >= today and r["status"] != "cancelled"]
        elif shown == "cancelled":
            rows = [r for r in rows if r["status"] == "cancelled"]
        rows.sort(key=lambda r: (r["check_in"], r["listing"]))
        return render_template(
            "bookings.html",
            rows=rows,
            total=total,
            units=units,
            properties=properties,
            wanted=wanted,
            shown=shown,
            today=today,
            error=error,
            form=request.form,
            webhooks=sandbox.webhooks.history()[:5],
        )

    @bp.get("/")
    def index() -> str:
        return listing_page()

    @bp.post("/bookings")
    def create_booking() -> Answer:
        try:
            code = bookings.create(sandbox, request.form)
        except bookings.Invalid as exc:
            return listing_page(str(exc)), 422
        return _see("booking", ref=code)

    def booking_page(ref: str, error: str = "") -> str:
        with store.open(changes=False) as world:
            found = world.find_booking(ref)
            if found is None:
                abort(404)
            return render_template(
                "booking.html",
                booking=views.booking_view(world, found),
                types=bookings.TYPES,
                units=list(world.listings.values()),
                error=error,
            )

    @bp.get("/bookings/<ref>")
    def booking(ref: str) -> str:
        return booking_page(ref)

    @bp.post("/bookings/<ref>")
    def change_booking(ref: str) -> Answer:
        try:
            bookings.change(sandbox, ref, request.form)
        except bookings.Invalid as exc:
            return booking_page(ref, str(exc)), 422
        except bookings.Unknown:
            abort(404)
        return _see("booking", ref=ref)

    @bp.post("/bookings/<ref>/<any('cancel', 'delete'):verb>")
    def end_booking(ref: str, verb: str) -> BaseResponse:
        try:
            (bookings.cancel if verb == "cancel" else bookings.delete)(sandbox, ref)
        except bookings.Unknown:
            abort(404)
        return _see("booking", ref=ref)

    @bp.post("/demo")
    def reset_demo() -> BaseResponse:
        store.replace(demo.build(sandbox.clock()))
        return _see("index")


def _lock_or_404(world: World, device_id: str) -> Lock:
    lock = world.locks.get(device_id)
    if lock is None:
        abort(404)
    return lock


def _lock_pages(bp: Blueprint, sandbox: Sandbox) -> None:
    store = sandbox.store

    @bp.get("/locks")
    def locks() -> str:
        now = sandbox.now()
        with store.open() as world:
            rows = [views.lock_view(world, lock, now) for lock in world.locks.values()]
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(rows, key=lambda row: not row["property"]):
            groups.setdefault(row["property"], []).append(row)
        return render_template("locks.html", groups=groups)

    def keypad_page(device_id: str, typed: str = "", opened: bool | None = None) -> str:
        with store.open() as world:
            lock = _lock_or_404(world, device_id)
            view = views.lock_view(world, lock, sandbox.now())
            own_faults = [views.fault_view(world, f) for f in world.faults if f.scope == device_id]
        return render_template(
            "keypad.html",
            lock=view,
            typed=typed,
            opened=opened,
            own_faults=own_faults,
            lock_states=faults.LOCK_STATES,
        )

    @bp.get("/keypad/<device_id>")
    def keypad(device_id: str) -> str:
        return keypad_page(device_id)

    @bp.post("/keypad/<device_id>")
    def type_pin(device_id: str) -> Answer:
        """One key, or the whole PIN. A caller that asks for JSON gets {"open": bool} and no more:
        a keypad does not say why."""
        body = request.get_json(silent=True) if request.is_json else None
        given = body if isinstance(body, dict) else request.form
        typed = "".join(c for c in str(given.get("pin", "")) if c in "0123456789")
        key = str(given.get("key", "open"))
        with store.open() as world:
            lock = _lock_or_404(world, device_id)
            if key != "open":
                lock_device.touch(world, lock, sandbox.now())
            else:
                opened = lock_device.try_keypad(
                    world, lock, typed, sandbox.keys.tuya_access_secret, sandbox.now()
                )
        if key == "open":
            wants_json = request.accept_mimetypes.best == "application/json" or body is not None
            if wants_json:
                return jsonify(open=opened)
            return keypad_page(device_id, opened=opened)
        typed = "" if key == "clear" else (typed + key)[:MAX_TYPED]
        return keypad_page(device_id, typed=typed)

    @bp.post("/locks/<device_id>/faults")
    def set_lock_fault(device_id: str) -> BaseResponse:
        kind = request.form.get("kind", "")
        with store.open() as world:
            _lock_or_404(world, device_id)
            if kind not in faults.LOCK_STATES:
                abort(400)
            on = [f for f in world.faults if f.scope == device_id and f.kind == kind]
            if on:
                for fault in on:
                    faults.switch_off(world, fault.id)
            else:
                faults.switch_on(world, device_id, kind)
        return _see("keypad", device_id=device_id)


def _fault_pages(bp: Blueprint, sandbox: Sandbox) -> None:
    store = sandbox.store

    def fault_page(error: str = "") -> str:
        with store.open(changes=False) as world:
            rows = [views.fault_view(world, f) for f in world.faults]
            devices = [(lock.device_id, lock.name) for lock in world.locks.values()]
        groups = {
            "Any answer": faults.TRANSPORT,
            "Lock cloud refuses": {k: text for k, (_, text) in faults.REFUSALS.items()},
            "Lock cloud token and clock": {
                **faults.TOKEN_KINDS,
                faults.CLOCK_SKEW: "the cloud's clock runs ahead",
            },
            "Beds24's token and credits": faults.BEDS24_KINDS,
            "Locks": faults.LOCK_STATES,
            "Webhooks": faults.WEBHOOK_KINDS,
        }
        return render_template(
            "faults.html", rows=rows, devices=devices, groups=groups, error=error, form=request.form
        )

    @bp.get("/faults")
    def fault_list() -> str:
        return fault_page()

    @bp.post("/faults")
    def add_fault() -> Answer:
        form = request.form
        try:
            with store.open() as world:
                faults.switch_on(
                    world,
                    form.get("scope", ""),
                    form.get("kind", ""),
                    operation=form.get("operation", "").strip(),
                    count=int(form["count"]) if form.get("count") else None,
                    seconds=float(form["seconds"]) if form.get("seconds") else None,
                    code=int(form["code"]) if form.get("code") else None,
                    chance=int(form["chance"]) if form.get("chance") else None,
                )
        except ValueError as exc:
            return fault_page(str(exc)), 422
        return _see("fault_list")

    @bp.post("/faults/off")
    def clear_faults() -> BaseResponse:
        with store.open() as world:
            faults.switch_off(world)
        return _see("fault_list")

    @bp.post("/faults/<int:fault_id>/off")
    def clear_fault(fault_id: int) -> BaseResponse:
        with store.open() as world:
            faults.switch_off(world, fault_id)
        return _see("fault_list")
