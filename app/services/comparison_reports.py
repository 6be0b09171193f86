"""The report of a comparison of everything active: written once, read as a page or as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, func, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH, insert

from app.domain import comparison_report
from app.domain.comparison_report import Compared
from app.domain.states import RunStatus
from app.errors import NotFound
from app.integrations.channels import ItemError
from app.models import ComparisonReport, Property, ReconciliationLog, Reservation
from app.models.columns import among
from app.models.reconciliation import DEEP_KINDS
from app.services import comparison_surroundings, csv_text
from app.services.paging import Page
from app.services.reconciliation_kinds import Plan, Tally, channel_of
from app.services.reconciliation_rows import Work
from app.transaction import transaction

#: differences a report keeps; its figures count all
KEPT = 20_000
#: differences in one piece of the CSV
AT_ONCE = 2000
FIELDS = ("status", "check_in", "check_out", "room", "units", "amount", "currency")
COLUMNS = (
    "booking",
    "reservation_id",
    "differs_in",
    *(f"{side}_{name}" for name in FIELDS for side in ("our", "their")),
)


@dataclass(frozen=True, slots=True)
class Report:
    """A run with its figures, None unless it has ended well; no `home`: of the whole account."""

    run: ReconciliationLog
    home: Property | None
    figures: Mapping[str, Any] | None

    @property
    def channel(self) -> str:
        return channel_of(self.run.kind)


def plan(compared: Compared, fetched: int, errors: Sequence[ItemError], noun: str) -> Plan:
    """The plan of a run that changes nothing: it can neither be stopped nor applied later."""
    return Plan("", {}, fetched=fetched, errors=errors, actions=compared, noun=noun)


def write(work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
    """Keep the report, if the run is still ours; it is all that is written."""
    compared: Compared = plan.actions
    figures = comparison_report.figures(compared)
    found = comparison_report.ordered(compared.differences)
    listed = [each.plain() for each in found[:KEPT]]
    figures["kept"] = len(listed)
    with transaction() as session:
        figures |= comparison_surroundings.read(session, work)
        keep(fetched=plan.fetched)
        statement = insert(ComparisonReport).values(
            run_id=work.id, figures=figures, differences=listed
        )
        # A run that was handed back after this wrote it reads anew, and knows better.
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["run_id"],
                set_={"figures": statement.excluded.figures, "differences": listed},
            )
        )
    return Tally(flagged=len(found), errors=[*plan.errors])


def reports(page: int, limit: int, property_id: UUID | None = None) -> Page[Report]:
    """Comparisons of everything, newest first, those that failed too; with `property_id` its own
    and those of whole accounts."""
    row = ReconciliationLog
    where: list[ColumnElement[bool]] = [row.kind.in_(DEEP_KINDS)]
    if property_id is not None:
        where.append(or_(row.property_id == property_id, row.property_id.is_(None)))
    with transaction() as session:
        total = session.scalar(select(func.count()).select_from(row).where(*where))
        found = session.execute(
            _joined()
            .where(*where)
            .order_by(row.started_at.desc(), row.id.desc())
            .limit(limit)
            .offset((page - 1) * limit)
        ).all()
    return Page([_report(each) for each in found], page, limit, total or 0)


def report(run_id: UUID) -> Report:
    """One of them. Raises NotFound."""
    row = ReconciliationLog
    with transaction() as session:
        found = session.execute(_joined().where(row.id == run_id, row.kind.in_(DEEP_KINDS))).first()
    if found is None:
        raise NotFound("no such report")
    return _report(found)


def differences(run_id: UUID, first: int = 0, count: int = AT_ONCE) -> list[dict[str, Any]]:
    """Some of the differences of a report, the gravest first: `id`, `kinds`, `ours`, `theirs`,
    `reservation_id`."""
    part = func.jsonb_path_query_array(
        ComparisonReport.differences,
        cast(f"$[{first} to {first + count - 1}]", JSONPATH),
    )
    with transaction() as session:
        return session.scalar(select(part).where(ComparisonReport.run_id == run_id)) or []


def guests(found: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Who the stays are for now, by the id of our reservation: a stay that is gone is not there,
    and one whose guest was forgotten has no name."""
    ids = [UUID(each["reservation_id"]) for each in found if each["reservation_id"]]
    if not ids:
        return {}
    with transaction() as session:
        rows = session.execute(
            select(Reservation.id, Reservation.guest_name).where(among(Reservation.id, ids))
        ).all()
    return {str(row.id): row.guest_name for row in rows}


def csv(run_id: UUID) -> Iterator[str]:
    """Every difference that the report keeps, without guests, in pieces."""
    yield csv_text.write(COLUMNS, ())
    first = 0
    while found := differences(run_id, first):
        yield csv_text.lines(COLUMNS, (_cells(each) for each in found))
        first += len(found)


def _joined() -> Select[ReconciliationLog, Property, dict[str, Any]]:
    row = ReconciliationLog
    return (
        select(row, Property, ComparisonReport.figures)
        .outerjoin(Property, Property.id == row.property_id)
        .outerjoin(ComparisonReport, ComparisonReport.run_id == row.id)
    )


def _report(found: Sequence[Any]) -> Report:
    run: ReconciliationLog = found[0]
    return Report(run, found[1], found[2] if run.status == RunStatus.SUCCESS else None)


def _cells(each: Mapping[str, Any]) -> dict[str, str]:
    cells = {
        "booking": each["id"],
        "reservation_id": each["reservation_id"] or "",
        "differs_in": " ".join(each["kinds"]),
    }
    for prefix, side in (("our", each["ours"]), ("their", each["theirs"])):
        for name in FIELDS:
            value = (side or {}).get(name)
            cells[f"{prefix}_{name}"] = "" if value is None else str(value)
    return cells
