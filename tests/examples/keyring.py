"""Keyring, an invented maker of locks: a cloud that hands keys to doors in its own time.

What a third party writes to add a lock vendor; docs/extending.md names the other places to touch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from app import clock
from app.integrations import errors, http
from app.integrations.locks import Device, LockPin, LockPinState, LockTarget, PinOrder, Vendor

VENDOR = "keyring"
#: where a key is, in Keyring's words and in ours; another word is unknown, and nothing is believed
PLACES = {
    "cloud": LockPinState.PENDING,
    "door": LockPinState.INSTALLED,
    "refused": LockPinState.FAILED,
    "leaving": LockPinState.DELETING,
    "gone": LockPinState.GONE,
}
#: why Keyring did not do it, and what to do about it: each kind says whether trying again can help
REASONS: dict[str, type[errors.IntegrationError]] = {
    "label": errors.NameTaken,
    "code": errors.PinTaken,
    "full": errors.LockFull,
    "past": errors.StartInPast,
    "unknown": errors.NotFound,
    "asleep": errors.LockOffline,
    "turning": errors.LockBusy,
    "unpaid": errors.QuotaExhausted,
}

#: the line for app.integrations.locks.KNOWN
ENTRY = Vendor(
    "Keyring",
    "KEYRING_API_URL and KEYRING_API_KEY",
    lambda settings: bool(settings.keyring_api_url),
)


class KeyringLocks:
    """A `LockClient` of Keyring's cloud."""

    def __init__(self, vendor_http: http.VendorHttp) -> None:
        self._http = vendor_http
        self._offset: float | None = None

    def create_pin(self, order: PinOrder) -> str:
        _check(order)
        answer = self._call("POST", _keys(order.target), _key(order))
        return str(answer["key"])

    def change_pin(self, ref: str, order: PinOrder) -> None:
        _check(order)
        self._call("PUT", f"{_keys(order.target)}/{quote(ref)}", _key(order))

    def list_pins(self, target: LockTarget) -> list[LockPin]:
        return [_pin(item) for item in self._list(_keys(target), "keys")]

    def delete_pin(self, target: LockTarget, ref: str) -> None:
        self._call("DELETE", f"{_keys(target)}/{quote(ref)}")

    def purge_record(self, target: LockTarget, ref: str) -> None:
        self._call("DELETE", f"{_keys(target)}/{quote(ref)}/record")

    def devices(self) -> list[Device]:
        return [
            Device(item["id"], item["name"], item["sort"], item["online"], item["battery"])
            for item in self._list("/doors", "doors")
        ]

    def clock_offset(self) -> float | None:
        return self._offset

    def _list(self, path: str, noun: str) -> list[Any]:
        items = self._call("GET", path).get(noun)
        if not isinstance(items, list):  # an answer without its list is no empty lock
            raise errors.Unreadable(f"Keyring answered without {noun}", vendor=VENDOR)
        return items

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call, tried once: the services know when to try again. A write whose answer is lost
        is Unconfirmed, and looked for by its label before it is sent again."""
        answer = self._http.exchange(method, path, body=body, safe=method == "GET").document
        if not isinstance(answer, dict) or not isinstance(answer.get("now"), (int, float)):
            raise errors.Unreadable("Keyring answered what nobody asked for", vendor=VENDOR)
        self._offset = answer["now"] - clock.utcnow().timestamp()
        if answer.get("done") is not True:
            why = str(answer.get("why"))
            kind = REASONS.get(why, errors.Rejected)
            raise kind("Keyring did not do it", vendor=VENDOR, code=why)
        return answer


def client_from_settings(settings: Any) -> KeyringLocks:
    """The client of the environment's account."""
    if settings.keyring_api_url is None:
        raise errors.NotConfigured("KEYRING_API_URL is not set", vendor=VENDOR)
    key = http.bearer(VENDOR, settings.keyring_api_key)
    return KeyringLocks(http.pooled(VENDOR, settings.keyring_api_url, key))


def _keys(target: LockTarget) -> str:
    return f"/doors/{quote(target.device_id, safe='')}/keys"


def _check(order: PinOrder) -> None:
    """What no answer of Keyring's is needed for; the digits never reach a message."""
    if len(order.pin) != order.target.pin_length:
        raise errors.Rejected(f"it takes {order.target.pin_length} digits", vendor=VENDOR)


def _key(order: PinOrder) -> dict[str, Any]:
    """The only place where the digits leave their `Pin`: on their way to the lock."""
    return {
        "label": order.name,
        "code": order.pin.reveal(),
        "from": int(order.valid_from.timestamp()),
        "until": int(order.expires_at.timestamp()),
    }


def _pin(item: Any) -> LockPin:
    place = item["at"]
    return LockPin(
        ref=item["key"],
        name=item["label"],
        state=PLACES.get(place, LockPinState.UNKNOWN),
        valid_from=datetime.fromtimestamp(item["from"], UTC),
        expires_at=datetime.fromtimestamp(item["until"], UTC),
        detail=f"Keyring says {place}",
    )
