"""A plain client of the sandbox's lock cloud, written from contracts/tuya.md alone."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.sandbox.context import Sandbox
from app.sandbox.credentials import Keys

KEYS = Keys(
    stays_api_key="stays-key",
    stays_client_id="client",
    stays_client_secret="client-secret",
    stays_webhook_secret="webhook-secret",
    tuya_access_id="cid0123456789abcdefgh",
    tuya_access_secret="0123456789abcdef0123456789abcdef",
)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def seconds(self) -> int:
        return int(self.now.timestamp())


def start_of_test() -> datetime:
    return datetime(2026, 11, 21, 13, 45, tzinfo=UTC)


def aes(key: bytes, data: bytes, *, encrypt: bool) -> bytes:
    """AES-ECB with PKCS7, spelled out here so that the sandbox does not check itself."""
    cipher = Cipher(algorithms.AES(key), modes.ECB())
    if encrypt:
        pad = 16 - len(data) % 16
        worker = cipher.encryptor()
        return worker.update(data + bytes([pad]) * pad) + worker.finalize()
    worker = cipher.decryptor()
    plain = worker.update(data) + worker.finalize()
    return plain[: -plain[-1]]


@dataclass
class Cloud:
    """Signs and sends; `token` is fetched on demand."""

    app: Flask
    clock: Callable[[], datetime]
    secret: str = KEYS.tuya_access_secret
    token: str = ""
    skew: float = 0.0
    sort_query: bool = True
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    @property
    def sandbox(self) -> Sandbox:
        sandbox: Sandbox = self.app.extensions["sandbox"]
        return sandbox

    def send(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> TestResponse:
        if not self.token and not path.startswith("/v1.0/token"):
            self.token = self.call("GET", "/v1.0/token", query={"grant_type": "1"})["result"][
                "access_token"
            ]
        data = b"" if body is None else json.dumps(body).encode()
        t = str(int((self.clock().timestamp() + self.skew) * 1000))
        token = "" if path.startswith("/v1.0/token") else self.token
        pairs = list((query or {}).items())
        if self.sort_query:
            pairs.sort()
        url = path + ("?" + "&".join(f"{k}={v}" for k, v in pairs) if pairs else "")
        signed_headers = {"Content-type": "application/json"} if method == "POST" else {}
        block = "".join(f"{k}:{v}\n" for k, v in signed_headers.items())
        text = f"{method}\n{hashlib.sha256(data).hexdigest()}\n{block}\n{url}"
        message = KEYS.tuya_access_id + token + t + text
        sign = hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).hexdigest().upper()
        headers = {
            **signed_headers,
            "client_id": KEYS.tuya_access_id,
            "sign": sign,
            "t": t,
            "sign_method": "HMAC-SHA256",
        }
        if signed_headers:
            headers["Signature-Headers"] = ":".join(signed_headers)
        if token:
            headers["access_token"] = token
        return self.client.open(
            "/tuya" + url, method=method, data=data, headers=headers, content_type=None
        )

    def call(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self.send(method, path, body, query).get_json()
        return answer

    def door(self, device_id: str, rest: str) -> str:
        return f"/v1.0/devices/{device_id}/door-lock/{rest}"

    def ticket(self, device_id: str) -> tuple[str, bytes]:
        result = self.call("POST", self.door(device_id, "password-ticket"))["result"]
        key = aes(self.secret.encode(), bytes.fromhex(result["ticket_key"]), encrypt=False)
        return result["ticket_id"], key

    def order(
        self,
        device_id: str,
        digits: str,
        *,
        name: str = "PP-TEST",
        start: int = 90,
        end: int = 86400,
        upper: bool = False,
        ticket: tuple[str, bytes] | None = None,
    ) -> dict[str, Any]:
        """The body of a create or modify; `start` and `end` in seconds from now."""
        ticket_id, key = ticket or self.ticket(device_id)
        password = aes(key, digits.encode(), encrypt=True).hex()
        now = int(self.clock().timestamp())
        return {
            "name": name,
            "password": password.upper() if upper else password,
            "password_type": "ticket",
            "ticket_id": ticket_id,
            "effective_time": now + start,
            "invalid_time": now + end,
            "type": 0,
        }

    def create(self, device_id: str, digits: str, **options: Any) -> dict[str, Any]:
        body = self.order(device_id, digits, **options)
        return self.call("POST", self.door(device_id, "temp-password"), body)

    def list(self, device_id: str, **query: str) -> list[dict[str, Any]]:
        answer = self.call("GET", self.door(device_id, "temp-passwords"), query=query)
        found: list[dict[str, Any]] = answer["result"]
        return found

    def delete(self, device_id: str, password_id: int) -> dict[str, Any]:
        return self.call("DELETE", self.door(device_id, f"temp-passwords/{password_id}"))

    def purge(self, device_id: str, password_id: int) -> dict[str, Any]:
        return self.call("DELETE", self.door(device_id, f"temp-passwords/{password_id}/record"))

    def opens(self, device_id: str, digits: str) -> bool:
        """Type the digits on the keypad."""
        answer = self.client.post(f"/keypad/{device_id}", json={"pin": digits}).get_json()
        opened: bool = answer["open"]
        assert set(answer) == {"open"}  # a keypad does not say why
        return opened

    def fault(self, scope: str, kind: str, **options: Any) -> None:
        answer = self.client.post("/control/faults", json={"scope": scope, "kind": kind, **options})
        assert answer.status_code == 201, answer.text

    def device(self, **wanted: Any) -> str:
        """A lock with these properties, no code and no fault of its own."""
        with self.sandbox.store.open(changes=False) as world:
            broken = {fault.scope for fault in world.faults}
            return next(
                lock.device_id
                for lock in world.locks.values()
                if not lock.codes
                and lock.device_id not in broken
                and lock.awake_until == 0.0
                and all(getattr(lock, k) == v for k, v in wanted.items())
            )
