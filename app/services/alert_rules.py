"""What a rule is: it looks at one kind of trouble, opens what it finds and closes what is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.domain.alert_limits import Limits
from app.services import alerts

#: rules that look at the same moment in two processes wait for each other (any number will do)
LOCK = 815_162_343

CRITICAL, WARNING = "critical", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One alert that should be open, in the words people read."""

    severity: str
    title: str
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule may know: the moment, the thresholds, and whether somebody has been watching all
    the while: after a break, a silence may have been our own."""

    session: Session
    now: datetime
    limits: Limits
    watching: bool


#: the findings by subject; a subject with None keeps the alert it has, if it has one. None alone:
#: nothing can be said right now, and everything stays as it is
Found = Mapping[str, Finding | None] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """`owns` says which subjects of its kind are the rule's to close; others have their own end."""

    kind: str
    find: Callable[[Look], Found]
    owns: Callable[[str], bool] = lambda subject: True


def settle(rule: Rule, look: Look) -> int:
    """Open what the rule finds and close what it no longer finds; how much it found."""
    look.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    found = rule.find(look)
    if found is None:
        return 0
    for subject, each in sorted(found.items(), key=lambda item: item[0]):
        if each is not None:
            alerts.raise_alert(
                look.session, rule.kind, subject, each.severity, each.title, each.what_to_do
            )
    over = sorted(
        subject
        for subject in alerts.subjects(look.session, rule.kind)
        if subject not in found and rule.owns(subject)
    )
    if over:
        alerts.resolve(look.session, rule.kind, *over)
    return len(found)
