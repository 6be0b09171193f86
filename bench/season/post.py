"""The vendors' messages, in the season's time: late, twice, in the wrong order, or never."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from flask.testing import FlaskClient

from app.sandbox.credentials import Keys
from app.sandbox.store import Store
from app.sandbox.webhooks import PAUSES, Message, WebhookSender, _counted
from bench.season.timekeeping import SeasonClock

Plan = Callable[[datetime, Callable[[], None]], None]


class Post(WebhookSender):
    """Takes the stand-ins' messages in place of their own sender, and delivers them over the
    product's real route. `chance` is how likely each kind of trouble is."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        clock: SeasonClock,
        dice: Random,
        client: FlaskClient,
        plan: Plan,
    ) -> None:
        super().__init__(store, keys, None, "simple")
        self.clock, self.dice, self.client, self.plan = clock, dice, client, plan
        self.quiet = True  # before the season nobody listens
        self.chance: dict[str, float] = {}
        self.changed_at: dict[str, datetime] = {}
        self.counts: Counter[str] = Counter()
        self.lost = 0  # the latest message's fate, for whoever caused it

    def _queue(self, action: str, body: Any, dialect: str) -> None:
        if self.quiet:
            return
        self.changed_at["beds24" if dialect.startswith("beds24") else "stays"] = self.clock.true
        self.counts["caused"] += 1
        raw = json.dumps(body, ensure_ascii=False).encode()
        if self._happens("lost"):
            self.lost += 1
            return
        wait = self.dice.uniform(0.3, 3.0)
        if self._happens("late"):
            wait += self.dice.uniform(60, 240)
        if self._happens("reordered"):
            wait += self.dice.uniform(5, 40)
        self._send_in(wait, Message(action, dialect, raw, 0.0))
        if self._happens("duplicated"):
            self._send_in(wait + self.dice.uniform(0, 20), Message(action, dialect, raw, 0.0))

    def _happens(self, kind: str) -> bool:
        happens = self.dice.random() < self.chance.get(kind, 0.0)
        if happens:
            self.counts[kind] += 1
        return happens

    def _send_in(self, seconds: float, message: Message) -> None:
        due = self.clock.true + timedelta(seconds=seconds)
        self.plan(due, lambda: self._deliver(message))

    def _deliver(self, message: Message) -> None:
        message.tries += 1
        if message.dialect.startswith("beds24"):
            message.body = _counted(message)
        path, headers = self._address(message)
        answer = self.client.post(
            path, data=message.body, headers={"Content-Type": "application/json", **headers}
        )
        self.counts[f"answered {answer.status_code}"] += 1
        if answer.status_code >= 500 or answer.status_code in (408, 429):
            if message.tries <= len(PAUSES):
                self._send_in(PAUSES[message.tries - 1], message)
            else:
                self.counts["given up"] += 1
