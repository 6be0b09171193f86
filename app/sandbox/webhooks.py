"""Messages to the product: signed, sent from a background thread, retried until taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.sandbox.credentials import Keys
from app.sandbox.faults import WEBHOOK_KINDS, take
from app.sandbox.store import Store

#: pauses between tries; a signed message older than five minutes would be refused anyway
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
SWAP_SECONDS = 2.0
KEPT = 100
BEDS24_PATH = "/api/integrations/beds24/webhook"


@dataclass
class Message:
    """One webhook on its way. `outcome` is what the last try met."""

    action: str
    dialect: str  # simple | external (both Stays'), beds24_token | beds24_hmac
    body: bytes
    due: float  # on the monotonic clock
    tries: int = 0
    outcome: str = "waiting"


class WebhookSender:
    """Sends to the product's doors for webhooks (INTERFACES §6); without one it only records.

    `dialect` is the one of Stays.
    """

    def __init__(self, store: Store, keys: Keys, target: str | None, dialect: str) -> None:
        self.dialect = dialect
        self._store = store
        self._keys = keys
        self._target = target.rstrip("/") if target else None
        self._waiting: list[Message] = []
        self._history: deque[Message] = deque(maxlen=KEPT)
        self._changed = threading.Condition()
        self._swap_next = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    def send(self, action: str, body: Mapping[str, Any]) -> None:
        """Queue a message of Stays, with whatever the faults do to it."""
        self._queue(action, body, self.dialect)

    def send_beds24(self, action: str, body: Any, *, proof: str) -> None:
        """Queue a message of Beds24, proved by its shared header (`token`) or signed (`hmac`)."""
        self._queue(action, body, f"beds24_{proof}")

    def _queue(self, action: str, body: Any, dialect: str) -> None:
        raw = json.dumps(body, ensure_ascii=False).encode()
        with self._store.open() as world:
            fault = take(world, {"webhooks"}, WEBHOOK_KINDS, action)
        kind = fault.kind if fault else ""
        message = Message(action, dialect, raw, time.monotonic())
        self._history.appendleft(message)
        if kind == "lost":
            message.outcome = "lost"
            return
        if self._target is None:
            message.outcome = "no target"
            return
        messages = [message]
        if kind == "slow" and fault is not None:
            message.due += fault.seconds
        if kind == "reordered":
            self._swap_next = not self._swap_next
            message.due += SWAP_SECONDS if self._swap_next else 0.0
        if kind == "duplicate":
            copy = Message(action, dialect, raw, time.monotonic())
            self._history.appendleft(copy)
            messages.append(copy)
        with self._changed:
            self._waiting.extend(messages)
            self._changed.notify()

    def history(self) -> list[dict[str, Any]]:
        """The latest messages first, for the pages and tests."""
        return [
            {
                "action": m.action,
                "dialect": m.dialect,
                "tries": m.tries,
                "outcome": m.outcome,
                "body": json.loads(m.body),
            }
            for m in list(self._history)
        ]

    def start(self) -> None:
        if self._thread is None and self._target is not None:
            self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=6)

    def _run(self) -> None:
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            while (message := self._next()) is not None:
                self._try(client, message)

    def _next(self) -> Message | None:
        """Wait for the message that is due first; None when told to stop."""
        with self._changed:
            while not self._stopped:
                if not self._waiting:
                    self._changed.wait()
                    continue
                first = min(self._waiting, key=lambda message: message.due)
                pause = first.due - time.monotonic()
                if pause <= 0:
                    self._waiting.remove(first)
                    return first
                self._changed.wait(pause)
        return None

    def _try(self, client: httpx.Client, message: Message) -> None:
        message.tries += 1
        if message.dialect.startswith("beds24"):
            message.body = _counted(message)
        path, headers = self._address(message)
        try:
            answer = client.post(
                f"{self._target}{path}",
                content=message.body,
                headers={"Content-Type": "application/json", **headers},
            )
        except httpx.HTTPError as exc:
            message.outcome = type(exc).__name__
        else:
            message.outcome = str(answer.status_code)
            if answer.status_code < 500 and answer.status_code not in (408, 429):
                return
        if message.tries <= len(PAUSES):
            message.due = time.monotonic() + PAUSES[message.tries - 1]
            with self._changed:
                self._waiting.append(message)

    def _address(self, message: Message) -> tuple[str, dict[str, str]]:
        secret = self._keys.stays_webhook_secret
        match message.dialect:
            case "simple":
                proof = _signature(secret, message.body)
                return "/api/webhooks/stays/reservation", {"X-Webhook-Signature": proof}
            case "beds24_token":
                return BEDS24_PATH, {"X-Webhook-Token": self._keys.beds24_webhook_secret}
            case "beds24_hmac":
                proof = _signature(self._keys.beds24_webhook_secret, message.body)
                return BEDS24_PATH, {"X-Beds24-Signature": proof}
        # Nobody outside Stays can check the real signature; its length is what is known of it.
        return f"/api/webhooks/stays/{secret}", {
            "x-stays-client-id": self._keys.stays_client_id,
            "x-stays-signature": base64.b64encode(secrets.token_bytes(512)).decode(),
        }


def _signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _counted(message: Message) -> bytes:
    """The body of this try: Beds24's own counts them in `retries` (contracts/beds24.md §8.1)."""
    document = json.loads(message.body)
    element = document[0] if isinstance(document, list) else document
    if "retries" not in element:
        return message.body
    element["retries"] = message.tries - 1
    return json.dumps(document, ensure_ascii=False).encode()
