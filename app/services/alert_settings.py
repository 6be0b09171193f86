"""What an admin has set about alerts: thresholds, and who is told besides the environment's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, create_model
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.domain.alert_limits import BY_NAME, DEFAULTS, LIMITS, Limits, believable
from app.models import SystemSetting
from app.runtime import settings
from app.services import audit
from app.services.audit import Actor
from app.services.inputs import Input
from app.transaction import transaction
from app.variables import EMAIL

PREFIX = "alerts."
EMAIL_ALSO, ESCALATE_ALSO = "email_also", "escalate_also"
#: when the rules were last looked at; the system's own note, no wish of an admin
WATCHED = f"{PREFIX}watched_at"
MOST_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """The thresholds in force and everybody who is told by e-mail."""

    limits: Limits
    email_also: tuple[str, ...]
    escalate_also: tuple[str, ...]

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is told of every alert."""
        return _unique((*addresses(settings().alert_email_to), *self.email_also))

    @property
    def escalation(self) -> tuple[str, ...]:
        """Who is told when nobody has looked at an alert: everybody, and the escalation's own."""
        own = addresses(settings().alert_escalation_email_to)
        return _unique((*self.recipients, *own, *self.escalate_also))

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways that are configured; the log is always on and is none of them."""
        found = []
        if settings().smtp_url is not None and self.recipients:
            found.append("email")
        if settings().alert_webhook_url is not None:
            found.append("webhook")
        return tuple(found)


def addresses(text: str | None) -> tuple[str, ...]:
    """The e-mail addresses in a text, separated by commas, semicolons or spaces."""
    return _unique((text or "").replace(",", " ").replace(";", " ").split())


def _unique(found: Sequence[str]) -> tuple[str, ...]:
    first: dict[str, str] = {}
    for each in found:
        first.setdefault(each.lower(), each)
    return tuple(first.values())


def _addresses(value: str) -> str:
    found = addresses(value)
    if len(found) > MOST_ADDRESSES:
        raise ValueError(f"must be at most {MOST_ADDRESSES} addresses")
    if any(not EMAIL.fullmatch(each) for each in found):
        raise ValueError("must be e-mail addresses, separated by commas")
    return ", ".join(found)


Addresses = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_addresses)]

_FIELDS: dict[str, Any] = {
    limit.name: (Annotated[int, Field(ge=limit.low, le=limit.high)], limit.default)
    for limit in LIMITS
} | {EMAIL_ALSO: (Addresses, ""), ESCALATE_ALSO: (Addresses, "")}

#: every threshold by its name, and the two lists of addresses as text; nothing sent: the default
NewSettings: type[Input] = create_model("NewSettings", __base__=Input, **_FIELDS)


def read(session: Session) -> AlertSettings:
    """What is in force, in one statement; a value that makes no sense counts as not set."""
    stored = {
        row.name.removeprefix(PREFIX): row.value
        for row in session.execute(
            select(SystemSetting.name, SystemSetting.value).where(
                SystemSetting.name.startswith(PREFIX, autoescape=True)
            )
        )
    }
    return AlertSettings(
        Limits({name: value for name, value in stored.items() if believable(name, value)}),
        _stored_addresses(stored.get(EMAIL_ALSO)),
        _stored_addresses(stored.get(ESCALATE_ALSO)),
    )


def current() -> AlertSettings:
    """What is in force."""
    with transaction() as session:
        return read(session)


def save(new: Input, *, actor: Actor) -> AlertSettings:
    """Put everything as `new` (a `NewSettings`) has it; what equals its default is not stored, so
    that a better default reaches it. Every change is audited."""
    wanted: dict[str, Any] = new.model_dump()
    with transaction() as session:
        before = _plain(read(session))
        after = {name: wanted[name] for name in before}
        changed = {name for name in after if after[name] != before[name]}
        for name in sorted(changed):
            default = DEFAULTS.get(name, "")
            if after[name] == default:
                session.execute(delete(SystemSetting).where(SystemSetting.name == PREFIX + name))
            else:
                value = after[name] if name in BY_NAME else list(addresses(after[name]))
                put(session, PREFIX + name, value, actor.label)
        if changed:
            audit.record(
                session,
                actor,
                "update",
                "alert_settings",
                None,
                {name: before[name] for name in sorted(changed)},
                {name: after[name] for name in sorted(changed)},
            )
        return read(session)


def as_typed(found: AlertSettings) -> Mapping[str, Any]:
    """What a form shows."""
    return _plain(found)


def put(session: Session, name: str, value: Any, by: str) -> None:
    """Store a value under its full name."""
    values = {"value": value, "updated_at": clock.utcnow(), "updated_by": by}
    session.execute(
        insert(SystemSetting)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )


def watched_at(session: Session) -> datetime | None:
    """The same, in the caller's transaction."""
    found = session.get(SystemSetting, WATCHED, populate_existing=True)
    try:
        return datetime.fromisoformat(found.value) if found is not None else None
    except (TypeError, ValueError):
        return None


def last_look() -> datetime | None:
    """When the rules were last looked at, as far as known."""
    with transaction() as session:
        return watched_at(session)


def _plain(found: AlertSettings) -> dict[str, Any]:
    plain: dict[str, Any] = {limit.name: found.limits[limit.name] for limit in LIMITS}
    plain[EMAIL_ALSO] = ", ".join(found.email_also)
    plain[ESCALATE_ALSO] = ", ".join(found.escalate_also)
    return plain


def _stored_addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(each for each in value if isinstance(each, str) and EMAIL.fullmatch(each))
