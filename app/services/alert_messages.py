"""What an e-mail and a webhook say of alerts: what happened, what to do, where; never a guest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain.alert_limits import Limits
from app.integrations.notify.email import Email
from app.services.alert_notices import ESCALATED, FLOOD, OPENED, RESOLVED, TEST
from app.services.alert_places import GUIDE

#: the verb that tells receivers of the webhook what happened
EVENTS = {
    OPENED: "alerts.opened",
    ESCALATED: "alerts.escalated",
    RESOLVED: "alerts.resolved",
    TEST: "alerts.test",
}
TEST_TEXT = "This is a test: somebody wanted to know whether alerts arrive. They do."
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as plain values."""

    id: UUID
    kind: str
    severity: str
    title: str
    what_to_do: str
    status: str
    opened_at: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    place: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One message by one way. `id` is the same for every try; `root` is the public address of this
    installation, None when nobody has said it."""

    id: str
    reason: str
    alerts: Sequence[Told]
    root: str | None
    at: datetime

    @property
    def is_flood(self) -> bool:
        return len(self.alerts) > FLOOD

    @property
    def urgent(self) -> bool:
        return self.reason in (OPENED, ESCALATED) and any(
            alert.severity == "critical" for alert in self.alerts
        )


def email(letter: Letter, sender: str, recipients: Sequence[str], limits: Limits) -> Email:
    """The letter in plain text."""
    lines = [_opening(letter, limits), ""]
    if letter.is_flood:
        lines += _summary(letter)
    else:
        for alert in letter.alerts:
            lines += _paragraph(letter, alert)
    lines += _closing(letter)
    return Email(
        letter.id,
        _subject(letter),
        "\n".join(lines) + "\n",
        sender,
        tuple(recipients),
        urgent=letter.urgent,
    )


def webhook(letter: Letter) -> bytes:
    """The letter as JSON; of a flood the figures and the first of its alerts."""
    document: dict[str, Any] = {
        "event": EVENTS[letter.reason],
        "id": letter.id,
        "at": _instant(letter.at),
        "total": len(letter.alerts),
        "by_kind": dict(_by_kind(letter)),
        "alerts": [_json(letter, alert) for alert in letter.alerts[:FLOOD]],
    }
    if letter.reason == TEST:
        document["text"] = TEST_TEXT
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _subject(letter: Letter) -> str:
    if letter.reason == TEST:
        return "[Turnkey] Test of the alerts"
    word = {OPENED: "", ESCALATED: "ESCALATED, nobody is on it: ", RESOLVED: "Over: "}
    if len(letter.alerts) == 1:
        alert = letter.alerts[0]
        urgent = "URGENT: " if letter.reason == OPENED and letter.urgent else ""
        return f"[Turnkey] {urgent}{word[letter.reason]}{alert.title}"
    worst = Counter(alert.severity for alert in letter.alerts)
    figures = ", ".join(f"{worst[name]} {name}" for name in SEVERITIES if worst[name])
    return f"[Turnkey] {word[letter.reason]}{len(letter.alerts)} alerts ({figures})"


def _opening(letter: Letter, limits: Limits) -> str:
    if letter.reason == TEST:
        return TEST_TEXT
    if letter.reason == ESCALATED:
        patience = (
            f"{limits['escalate_critical']} minutes for an urgent one, "
            f"{limits['escalate_warning']} for any other"
        )
        return f"Nobody has said “I am on it” in time ({patience}). This is the last reminder."
    if letter.reason == RESOLVED:
        return "The cause is gone; nothing is left to do about this."
    if letter.is_flood:
        return "Many alerts have opened at once. They most likely have one cause."
    return "A person is needed."


def _summary(letter: Letter) -> list[str]:
    lines = [f"{count} × {kind}" for kind, count in _by_kind(letter)]
    lines += ["", "The first of them:", ""]
    lines += [f"- {alert.title}" for alert in letter.alerts[:FLOOD]]
    return [*lines, f"- and {len(letter.alerts) - FLOOD} more", ""]


def _paragraph(letter: Letter, alert: Told) -> list[str]:
    over = f" until {_said(alert.resolved_at)}" if alert.resolved_at else ""
    lines = [
        f"{alert.severity.upper()}: {alert.title}",
        f"Since {_said(alert.opened_at)}{over}",
    ]
    if letter.reason != RESOLVED:
        lines.append(f"What to do: {alert.what_to_do}")
        if letter.root is not None:
            lines.append(f"Where: {letter.root}{alert.place}")
            lines.append(f"What it means: {letter.root}{GUIDE}#{alert.kind}")
    return [*lines, ""]


def _closing(letter: Letter) -> list[str]:
    if letter.root is None:
        return ["Open Alerts in Turnkey to see everything, and to say “I am on it”."]
    return [f"Everything, and “I am on it”: {letter.root}/alerts"]


def _by_kind(letter: Letter) -> list[tuple[str, int]]:
    return Counter(alert.kind for alert in letter.alerts).most_common()


def _json(letter: Letter, alert: Told) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "id": str(alert.id),
        "kind": alert.kind,
        "severity": alert.severity,
        "title": alert.title,
        "what_to_do": alert.what_to_do,
        "status": alert.status,
        "opened_at": _instant(alert.opened_at),
        "acknowledged_at": _instant(alert.acknowledged_at),
        "resolved_at": _instant(alert.resolved_at),
    }
    if letter.root is not None:
        found["url"] = f"{letter.root}{alert.place}"
    return found


def _instant(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _said(at: datetime) -> str:
    return f"{at.astimezone(UTC):%d %b %Y %H:%M} UTC"
