"""How long each kind of data is kept, and changing that (LGPD; P2-SEC, SEC-15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.models import SystemSetting
from app.services import audit
from app.services.audit import Actor
from app.services.inputs import Input
from app.transaction import transaction

PREFIX: Final = "privacy."


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit in days: what it is unless an admin says otherwise, and how far it may be moved."""

    name: str
    days: int
    least: int
    most: int


#: in the order in which a person thinks of them
RULES: Final[tuple[Rule, ...]] = (
    Rule("guest_days", 30, 1, 1825),  # name, e-mail and phone, after the stay
    Rule("payload_days", 90, 7, 730),  # what an event carried, after it was dealt with
    Rule("stay_days", 730, 180, 3650),  # the stay itself, and its events' rows
    Rule("pin_days", 30, 1, 365),  # the last digits of a PIN, after it expired
    Rule("pin_log_days", 90, 30, 1825),  # who saw or changed a PIN, and the orders
    Rule("activity_days", 90, 30, 3650),  # the rest of the audit log and the small logs
    Rule("sign_in_days", 30, 7, 365),  # who signed in, or tried to
    Rule("address_days", 14, 1, 90),  # from which address
    Rule("session_days", 30, 7, 365),  # sessions and links that have ended
    Rule("run_days", 14, 7, 730),  # runs of the reconciliation
    Rule("try_days", 30, 7, 365),  # each try of an event
    Rule("finding_days", 90, 14, 1095),  # closed discrepancies and alerts
)
BY_NAME: Final = {rule.name: rule for rule in RULES}


def _within(name: str) -> object:
    return Field(ge=BY_NAME[name].least, le=BY_NAME[name].most)


class Limits(Input):
    """Every limit, in days."""

    guest_days: Annotated[int, _within("guest_days")]
    payload_days: Annotated[int, _within("payload_days")]
    stay_days: Annotated[int, _within("stay_days")]
    pin_days: Annotated[int, _within("pin_days")]
    pin_log_days: Annotated[int, _within("pin_log_days")]
    activity_days: Annotated[int, _within("activity_days")]
    sign_in_days: Annotated[int, _within("sign_in_days")]
    address_days: Annotated[int, _within("address_days")]
    session_days: Annotated[int, _within("session_days")]
    run_days: Annotated[int, _within("run_days")]
    try_days: Annotated[int, _within("try_days")]
    finding_days: Annotated[int, _within("finding_days")]


def limits() -> dict[str, int]:
    """Days by rule, as they apply now."""
    with transaction() as session:
        return _limits(session)


def change(wanted: Limits, *, actor: Actor) -> dict[str, int]:
    """Keep these limits from the next night on; only what differs is written, and audited."""
    with transaction() as session:
        before = _limits(session)
        after = {name: days for name, days in wanted.model_dump().items() if days != before[name]}
        if not after:
            return before
        rows = [
            {
                "name": PREFIX + name,
                "value": days,
                "updated_at": clock.utcnow(),
                "updated_by": actor.label,
            }
            for name, days in sorted(after.items())
        ]
        statement = insert(SystemSetting).values(rows)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={
                    each: statement.excluded[each] for each in ("value", "updated_at", "updated_by")
                },
            )
        )
        was = {name: before[name] for name in after}
        audit.record(session, actor, "update", "setting", "privacy", was, after)
        return before | after


def _limits(session: Session) -> dict[str, int]:
    names = [PREFIX + rule.name for rule in RULES]
    rows = session.execute(
        select(SystemSetting.name, SystemSetting.value).where(SystemSetting.name.in_(names))
    )
    stored: Mapping[str, int] = {row.name.removeprefix(PREFIX): row.value for row in rows}
    return {rule.name: stored.get(rule.name, rule.days) for rule in RULES}
