"""Alerts as people read them: what is open, who is on it, what is over and how long it took."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app import clock
from app.errors import NotFound
from app.models import Alert, AlertNotice, User
from app.models.alerts import ALERT_KINDS
from app.models.columns import among
from app.services import alert_stays, list_args
from app.services.alert_places import places
from app.services.alert_stays import AlertStay
from app.services.paging import Page, page_args
from app.transaction import transaction

STATUSES = ("open", "acknowledged", "resolved")
SEVERITIES = ("critical", "warning", "info")
URGENCY = case((Alert.severity == "critical", 3), (Alert.severity == "warning", 2), else_=1)
SORTS = {
    "opened_at": Alert.opened_at,
    "resolved_at": Alert.resolved_at,
    "severity": URGENCY,
    "kind": Alert.kind,
    "status": Alert.status,
}
FALLING = ("opened_at", "resolved_at", "severity")


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert, where it is mended, every notice of it, oldest first, who is on it by name (by
    address where no user has one), and for a page the stay it is about."""

    alert: Alert
    place: str
    notices: Sequence[AlertNotice]
    keeper: str = ""
    stay: AlertStay | None = None

    @property
    def lasted(self) -> timedelta:
        """How long it was open, or has been until now."""
        return (self.alert.resolved_at or clock.utcnow()) - self.alert.opened_at


@dataclass(frozen=True, slots=True)
class Board:
    """One page of alerts in one state, and how many there are in each."""

    page: Page[AlertRow]
    counts: Mapping[str, int]

    @property
    def version(self) -> str:
        """What changes when the page would, but for the time that passes."""
        seen = [
            (
                str(row.alert.id),
                row.alert.status,
                row.alert.severity,
                row.alert.title,
                row.alert.escalated_at,
                [(each.status, each.attempts) for each in row.notices],
                row.keeper,
                _seen(row.stay),
            )
            for row in self.page.items
        ]
        text = repr((seen, sorted(self.counts.items()), self.page.total))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def search(args: Mapping[str, str]) -> Page[AlertRow]:
    """A page of alerts, newest first; filters `status,kind,severity` and `q` in their words.
    Raises Invalid."""
    page, limit = page_args(args)
    sort = list_args.choice(args, "sort", tuple(SORTS)) or "opened_at"
    order = list_args.choice(args, "order", ("asc", "desc"))
    falling = (order or ("desc" if sort in FALLING else "asc")) == "desc"
    key = SORTS[sort]
    ordering = (
        key.desc().nulls_last() if falling else key.asc().nulls_last(),
        Alert.opened_at.desc(),
        Alert.id,
    )
    return _page(_conditions(args), ordering, page, limit)


def board(args: Mapping[str, str], status: str) -> Board:
    """The page's own order: what is open by urgency, then the longest open first; what is over by
    when it ended. Raises Invalid."""
    page, limit = page_args(args, default_limit=25)
    ordering: tuple[Any, ...] = (URGENCY.desc(), Alert.opened_at, Alert.id)
    if status == "resolved":
        ordering = (Alert.resolved_at.desc(), Alert.id)
    with transaction() as session:
        found = _page([Alert.status == status], ordering, page, limit)
        if status != "resolved":
            people = alert_stays.stays(session, (row.alert.subject for row in found.items))
            named = [replace(row, stay=people.get(row.alert.subject)) for row in found.items]
            found = replace(found, items=named)
        counted = select(Alert.status, func.count()).group_by(Alert.status)
        rows: dict[str, int] = {row[0]: row[1] for row in session.execute(counted)}
    return Board(found, {each: rows.get(each, 0) for each in STATUSES})


def get(alert_id: UUID) -> AlertRow:
    """One alert. Raises NotFound."""
    with transaction() as session:
        alert = session.get(Alert, alert_id)
        if alert is None:
            raise NotFound("no such alert")
        keeper = session.scalar(select(User.name).where(User.email == alert.acknowledged_by))
        return _rows(session, [(alert, keeper)])[0]


def failing(now: datetime) -> Mapping[str, AlertNotice]:
    """By way, the last notice that could not be sent, if nothing was sent by that way since; of the
    last day."""
    with transaction() as session:
        rows = session.scalars(
            select(AlertNotice)
            .where(
                AlertNotice.created_at > now - timedelta(days=1),
                or_(
                    AlertNotice.status.in_(("sent", "failed")),
                    (AlertNotice.status == "pending") & AlertNotice.last_error.is_not(None),
                ),
            )
            .ext(distinct_on(AlertNotice.way))
            .order_by(AlertNotice.way, AlertNotice.updated_at.desc())
        ).all()
    return {row.way: row for row in rows if row.status != "sent"}


def _seen(stay: AlertStay | None) -> object:
    if stay is None:
        return None
    r, room = stay.reservation, stay.accommodation
    return (r.version, r.status, r.guest_name, r.check_in_at, room and (room.number, room.name))


def _page(
    conditions: Sequence[ColumnElement[bool]],
    ordering: Sequence[Any],
    page: int,
    limit: int,
) -> Page[AlertRow]:
    with transaction() as session:
        counted = select(func.count()).select_from(Alert).where(*conditions)
        total = session.scalar(counted) or 0
        found = session.execute(
            select(Alert, User.name)
            .outerjoin(User, User.email == Alert.acknowledged_by)
            .where(*conditions)
            .order_by(*ordering)
            .limit(limit)
            .offset((page - 1) * limit)
        ).all()
        return Page(_rows(session, [(row[0], row[1]) for row in found]), page, limit, total)


def _rows(session: Session, found: Sequence[tuple[Alert, str | None]]) -> list[AlertRow]:
    if not found:
        return []
    alerts = [alert for alert, _ in found]
    where = places(session, {(alert.kind, alert.subject) for alert in alerts})
    notices: dict[UUID, list[AlertNotice]] = {alert.id: [] for alert in alerts}
    for notice in session.scalars(
        select(AlertNotice)
        .where(among(AlertNotice.alert_id, notices))
        .order_by(AlertNotice.number, AlertNotice.way)
    ):
        if notice.alert_id is not None:
            notices[notice.alert_id].append(notice)
    return [
        AlertRow(
            alert,
            where[alert.kind, alert.subject],
            notices[alert.id],
            keeper or alert.acknowledged_by or "",
        )
        for alert, keeper in found
    ]


def _conditions(args: Mapping[str, str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if statuses := list_args.choices(args, "status", STATUSES):
        found.append(Alert.status.in_(statuses))
    if kinds := list_args.choices(args, "kind", ALERT_KINDS):
        found.append(Alert.kind.in_(kinds))
    if severities := list_args.choices(args, "severity", SEVERITIES):
        found.append(Alert.severity.in_(severities))
    if q := list_args.word(args, "q"):
        columns = (Alert.title, Alert.what_to_do, Alert.subject)
        found.append(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    return found
