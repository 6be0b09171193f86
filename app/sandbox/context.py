"""What every part of the sandbox shares: keys, memory, clock and the sender of webhooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.sandbox.credentials import Keys
from app.sandbox.store import Store
from app.sandbox.webhooks import WebhookSender


@dataclass
class Sandbox:
    """One running sandbox. `clock` is its own time; doors, tokens and webhooks follow it."""

    keys: Keys
    store: Store
    clock: Callable[[], datetime]
    webhooks: WebhookSender

    def now(self) -> float:
        return self.clock().timestamp()
