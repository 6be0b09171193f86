"""Tuya as a lock vendor: time-limited PINs, their state on the lock, and the account's locks."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from app.clock import utcnow
from app.integrations.errors import (
    ClockSkewed,
    IntegrationError,
    NotFound,
    QuotaExhausted,
    RateLimited,
    Rejected,
    StartInPast,
    Unauthorized,
    Unconfirmed,
    Unreachable,
    Unreadable,
)
from app.integrations.locks import Device, LockPin, LockTarget, PinOrder
from app.integrations.locks.tuya import crypto, listing
from app.integrations.locks.tuya.cloud import TuyaCloud
from app.integrations.locks.tuya.codes import ABSENT_PIN, CLOSED_PATH, PARAMETER, VENDOR

_DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: at most 20 characters (§4.1); no free text, which could hold a phrase tinytuya acts on (§8.3)
_NAME = re.compile(r"[A-Za-z0-9-]{1,20}")
STATUS_BATCH = 20
#: seconds for which a refusal to answer for many locks at once is believed
REFUSAL_HOLDS = 3600.0


class TuyaLocks:
    """A LockClient on one Tuya project. It touches only ids it is given and never clears all."""

    def __init__(self, cloud: TuyaCloud) -> None:
        self.cloud = cloud
        self._battery: dict[str, tuple[int | None, bool]] = {}
        self._battery_read_at: dict[str, float] = {}
        self._batches_refused_at: float | None = None

    def create_pin(self, order: PinOrder) -> str:
        """Order the PIN and return its id. Delivery to the lock follows (§5)."""
        base = _base(order.target)
        _check(order)
        if order.valid_from <= utcnow():
            raise StartInPast("the window starts before now", vendor=VENDOR)
        result = self._send_pin("POST", f"{base}/temp-password", order)
        try:
            return listing.pin_ref(result)
        except Unreadable:
            raise Unconfirmed("the PIN was accepted without an id", vendor=VENDOR) from None

    def change_pin(self, ref: str, order: PinOrder) -> None:
        """The same digits with another window; Tuya wants the digits again (§4.4)."""
        path = f"{_pin_path(order.target, ref)}/modify-password"
        _check(order)
        _done(self._send_pin("PUT", path, order))

    def list_pins(self, target: LockTarget) -> list[LockPin]:
        """One call for all PINs of the lock, gone ones included while their record is kept."""
        return listing.lock_pins(target.radio, self.cloud.read(f"{_base(target)}/temp-passwords"))

    def delete_pin(self, target: LockTarget, ref: str) -> None:
        """Order removal; a PIN the lock does not know counts as removed."""
        self._delete(_pin_path(target, ref), ABSENT_PIN)

    def purge_record(self, target: LockTarget, ref: str) -> None:
        """Remove the history entry, which else stays listed for ever (§4.6)."""
        self._delete(f"{_pin_path(target, ref)}/record", ABSENT_PIN | {"1000"})

    def devices(self) -> list[Device]:
        """Every lock of the project and of the app accounts linked to it."""
        deadline = monotonic() + self.cloud.limits.total
        found = listing.locks(self._device_entries(deadline))
        unread: list[str] = []
        for device, status in found:
            known = listing.battery(status)
            if known is None:
                unread.append(device.device_id)
            else:
                self._battery[device.device_id] = known
        self._read_batteries(unread, deadline)
        return [
            replace(device, battery=percent, low_battery=low)
            for device, _ in found
            for percent, low in (self._battery.get(device.device_id, (None, False)),)
        ]

    def clock_offset(self) -> float | None:
        return self.cloud.clock_offset

    def _send_pin(self, method: str, path: str, order: PinOrder) -> Any:
        """Ticket and write, held together: a ticket is fresh and used once (§3.1)."""
        starts = int(order.valid_from.timestamp())

        def steps() -> Any:
            ticket = self.cloud.exchange(
                "POST", f"{_base(order.target)}/password-ticket", writes=False
            )
            body = {
                "name": order.name,
                **_sealed(self.cloud.access_secret, ticket, order),
                "effective_time": starts,
                "invalid_time": int(order.expires_at.timestamp()),
                "type": 0,
            }
            return self.cloud.exchange(method, path, body=body, writes=True)

        try:
            return self.cloud.run(steps)
        except Rejected as error:
            # A start in the past has been answered with the code of any bad parameter (§2.2, §5.4).
            vendor_now = utcnow().timestamp() + (self.cloud.clock_offset or 0.0)
            if error.code != str(PARAMETER) or starts > vendor_now:
                raise
            late = StartInPast(
                "the window starts before the cloud's now",
                vendor=VENDOR,
                code=error.code,
                trace_id=error.trace_id,
            )
        raise late

    def _delete(self, path: str, absent: frozenset[str]) -> None:
        try:
            _done(self.cloud.write("DELETE", path))
        except NotFound as error:
            if error.code not in absent:
                raise

    def _device_entries(self, deadline: float) -> list[dict[str, Any]]:
        """The project's own list, or that of the linked app accounts when the first is closed to
        this project or empty: it then lists assets, and most projects have none (§7)."""

        def pages(path: str, key: str, query: dict[str, str]) -> list[dict[str, Any]]:
            read = partial(self.cloud.read, path, until=deadline)
            return list(listing.every_page(read, key, query))

        entries: list[dict[str, Any]] = []
        closed: IntegrationError | None = None
        try:
            entries = pages("/v1.3/iot-03/devices", "list", {"page_size": "200"})
        except (Rejected, Unauthorized) as error:
            if error.code not in CLOSED_PATH:
                raise
            closed = error
        if entries:
            return entries
        try:
            return pages("/v1.0/iot-01/associated-users/devices", "devices", {"size": "50"})
        except (Rejected, Unauthorized) as error:
            if closed is not None or error.code not in CLOSED_PATH:
                raise
            return entries

    def _read_batteries(self, device_ids: list[str], deadline: float) -> None:
        """Last reported values, the longest unread first, as far as the time goes. A lock whose
        status cannot be had keeps what was known."""
        queue = sorted(device_ids, key=lambda d: self._battery_read_at.get(d, 0.0))
        reserve = self.cloud.limits.connect + self.cloud.limits.read
        refused_at = self._batches_refused_at
        together = refused_at is None or monotonic() - refused_at > REFUSAL_HOLDS
        while queue and monotonic() < deadline - reserve:
            size = STATUS_BATCH if together else 1
            batch, queue = queue[:size], queue[size:]
            try:
                answers = self._statuses(batch, deadline, together=together)
            except (Unreachable, RateLimited, QuotaExhausted, ClockSkewed):
                return
            except IntegrationError as error:
                if together:
                    # Not offered to every project, nor documented for all. But it may be a bad
                    # moment as well, and one by one for good would be twenty times the calls.
                    if isinstance(error, (Rejected, Unauthorized, NotFound)):
                        self._batches_refused_at = monotonic()
                    together = False
                    queue = batch + queue
                    continue
                answers = {}
            for device_id in batch:
                self._battery_read_at[device_id] = monotonic()
                if (known := listing.battery(answers.get(device_id))) is not None:
                    self._battery[device_id] = known

    def _statuses(
        self, device_ids: list[str], deadline: float, *, together: bool
    ) -> dict[str, Any]:
        if not together:
            [device_id] = device_ids
            path = f"/v1.0/iot-03/devices/{device_id}/status"
            return {device_id: self.cloud.read(path, until=deadline)}
        result = self.cloud.read(
            "/v1.0/iot-03/devices/status", {"device_ids": ",".join(device_ids)}, until=deadline
        )
        if not isinstance(result, list):
            raise Unreadable("the status list is not a list", vendor=VENDOR)
        return {str(e.get("id")): e.get("status") for e in result if isinstance(e, dict)}


def _sealed(access_secret: str, ticket: Any, order: PinOrder) -> dict[str, str]:
    ticket_id = ticket.get("ticket_id") if isinstance(ticket, dict) else None
    ticket_key = ticket.get("ticket_key") if isinstance(ticket, dict) else None
    if not isinstance(ticket_id, str) or not isinstance(ticket_key, str):
        raise Unreadable("a ticket without id or key", vendor=VENDOR)
    fault: IntegrationError
    try:
        key = crypto.ticket_secret(access_secret, ticket_key)
        sealed = crypto.encrypt_pin(key, order.pin, order.target.hex_case)
    except crypto.TicketLocked as error:
        fault = Unauthorized(str(error), vendor=VENDOR)
    except crypto.TicketMalformed as error:
        fault = Unreadable(str(error), vendor=VENDOR)
    else:
        return {"password": sealed, "password_type": "ticket", "ticket_id": ticket_id}
    raise fault


def _check(order: PinOrder) -> None:
    """What Tuya would refuse with a code that says little (1109)."""
    fault = None
    if not _NAME.fullmatch(order.name):
        fault = "a PIN's name is 1 to 20 letters, digits and hyphens"
    elif len(order.pin) != order.target.pin_length:
        fault = f"this lock takes PINs of {order.target.pin_length} digits"
    elif not (_aware(order.valid_from) and _aware(order.expires_at)):
        fault = "the window has no time zone"
    elif int(order.expires_at.timestamp()) <= int(order.valid_from.timestamp()):
        fault = "the window ends before it begins"
    if fault is not None:
        raise Rejected(fault, vendor=VENDOR)


def _aware(moment: datetime) -> bool:
    return moment.utcoffset() is not None


def _base(target: LockTarget) -> str:
    if not _DEVICE_ID.fullmatch(target.device_id):
        raise Rejected("not a device id", vendor=VENDOR)
    return f"/v1.0/devices/{target.device_id}/door-lock"


def _pin_path(target: LockTarget, ref: str) -> str:
    if not (ref.isascii() and ref.isdigit()):
        raise Rejected("not a PIN's id", vendor=VENDOR)
    return f"{_base(target)}/temp-passwords/{ref}"


def _done(result: Any) -> None:
    if result is False:
        raise Unconfirmed("the cloud answered that it did not do it", vendor=VENDOR)
