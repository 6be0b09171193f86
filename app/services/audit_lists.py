"""Find audit entries: filters, search, order, pages, and all that match as CSV (DECISIONS 15)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute

from app import clock
from app.errors import Invalid, NotFound
from app.models import AuditEntry
from app.services import audit, audit_names, csv_text, list_args
from app.services.audit import Actor
from app.services.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, page_args
from app.transaction import transaction

ORDERS: Final = ("asc", "desc")
SORTS: Final[dict[str, InstrumentedAttribute[Any]]] = {
    "at": AuditEntry.at,
    "actor": AuditEntry.actor,
    "action": AuditEntry.action,
    "entity": AuditEntry.entity,
}
CSV_COLUMNS: Final = ("at", "actor", "action", "entity", "entity_id", "before", "after", "ip")
#: rows of an export that are in memory at once
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What a list asks for; `from_` and `to` bound the moment, `to` excluded."""

    actor: str | None = None
    action: tuple[str, ...] = ()
    entity: str | None = None
    entity_id: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    q: str | None = None
    sort: str = "at"
    order: str = "desc"
    page: int = 1
    limit: int = DEFAULT_LIMIT

    @classmethod
    def from_args(
        cls,
        args: Mapping[str, str],
        *,
        zone: str = "UTC",
        default_limit: int = DEFAULT_LIMIT,
        max_limit: int = MAX_LIMIT,
    ) -> AuditFilter:
        """Read a query string. Raises Invalid naming the faulty parameter.

        A day in `from` or `to` is that whole day in `zone`; `action` may name several.
        """
        sort = list_args.choice(args, "sort", tuple(SORTS)) or "at"
        page, limit = page_args(args, max_limit, default_limit)
        actions = list_args.word(args, "action") or ""
        found = cls(
            actor=list_args.word(args, "actor"),
            action=tuple(each.strip() for each in actions.split(",") if each.strip()),
            entity=list_args.word(args, "entity"),
            entity_id=list_args.word(args, "entity_id"),
            from_=list_args.bound(args, "from", zone),
            to=list_args.bound(args, "to", zone, end=True),
            q=list_args.word(args, "q"),
            sort=sort,
            order=list_args.choice(args, "order", ORDERS) or ("desc" if sort == "at" else "asc"),
            page=page,
            limit=limit,
        )
        if found.from_ and found.to and found.from_ >= found.to:
            raise Invalid.field("to", "must not be before from")
        return found

    def told(self) -> dict[str, Any]:
        """The filters as an audit row keeps them: without the text, which may be a guest's."""
        said = {
            "actor": self.actor,
            "action": ",".join(self.action) or None,
            "entity": self.entity,
            "entity_id": self.entity_id,
            "from": self.from_.isoformat() if self.from_ else None,
            "to": self.to.isoformat() if self.to else None,
            "searched": True if self.q else None,
        }
        return {name: value for name, value in said.items() if value is not None}


def search(filters: AuditFilter, *, most: int | None = None) -> Page[AuditEntry]:
    """One page of the entries that fit, in two statements, three for a text.

    The page is cut on keys alone, which an index holds; what an entry says is read for its rows.
    The total counts no further than `most`.
    """
    with transaction() as session:
        matching = select(AuditEntry.id).where(*_conditions(filters))
        counted = matching.limit(most).subquery()
        total = session.scalar(select(func.count()).select_from(counted)) or 0
        chosen = (
            matching.order_by(*_order(filters))
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        )
        rows = session.scalars(
            select(AuditEntry).where(AuditEntry.id.in_(chosen)).order_by(*_order(filters))
        ).all()
    return Page(rows, filters.page, filters.limit, total)


def get(entry_id: UUID) -> AuditEntry:
    """One entry. Raises NotFound."""
    with transaction() as session:
        found = session.get(AuditEntry, entry_id)
    if found is None:
        raise NotFound("no such audit entry")
    return found


@dataclass(frozen=True, slots=True)
class Choices:
    """The words there are to filter by."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]
    entities: tuple[str, ...]


def choices() -> Choices:
    """Every actor, action and kind of thing in the log, each found by one skip through its index
    (a plain DISTINCT would look at every row); one statement."""
    columns = (AuditEntry.actor, AuditEntry.action, AuditEntry.entity)
    with transaction() as session:
        rows = session.execute(union_all(*(_distinct(column) for column in columns))).all()
    found: dict[str, list[str]] = {column.key: [] for column in columns}
    for column, word in rows:
        found[column].append(word)
    return Choices(tuple(found["actor"]), tuple(found["action"]), tuple(found["entity"]))


def export(filters: AuditFilter, *, actor: Actor) -> Iterator[str]:
    """All entries that fit as CSV, newest first, in pieces; that it was taken is an entry itself.

    Each piece is a read of its own that begins where the last one ended, so that memory stays
    bounded and no transaction stays open while somebody downloads. What is written meanwhile is
    not in it.
    """
    now = clock.utcnow()
    conditions = _conditions(replace(filters, to=min(filters.to or now, now)))
    with transaction() as session:
        matching = select(AuditEntry.id).where(*conditions).subquery()
        total = session.scalar(select(func.count()).select_from(matching)) or 0
        after = {"rows": total} | filters.told()
        audit.record(session, actor, "export", "audit_log", None, after=after)
    return _pieces(conditions)


def _pieces(conditions: list[ColumnElement[bool]]) -> Iterator[str]:
    yield csv_text.write(CSV_COLUMNS, ())
    key = tuple_(AuditEntry.at, AuditEntry.id)
    last: tuple[datetime, UUID] | None = None
    while True:
        more = [*conditions, key < last] if last else conditions
        with transaction() as session:
            rows = session.scalars(
                select(AuditEntry)
                .where(*more)
                .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
                .limit(AT_ONCE)
            ).all()
        if not rows:
            return
        yield csv_text.lines(CSV_COLUMNS, (_cells(row) for row in rows))
        last = (rows[-1].at, rows[-1].id)


def _cells(row: AuditEntry) -> dict[str, str]:
    at = row.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at} | {name: _text(getattr(row, name)) for name in CSV_COLUMNS[1:]}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _distinct(column: InstrumentedAttribute[Any]) -> Any:
    """The different values of an indexed column, one index look-up each."""
    known = (
        select(column.label("word")).order_by(column).limit(1).cte(f"{column.key}s", recursive=True)
    )
    following = (
        select(func.min(column)).where(column > known.c.word).correlate(known).scalar_subquery()
    )
    known = known.union_all(select(following).where(known.c.word.is_not(None)))
    kind = func.text(column.key)
    return select(kind, known.c.word).where(known.c.word.is_not(None))


def _order(filters: AuditFilter) -> list[Any]:
    keys = [SORTS[filters.sort]]
    keys += [AuditEntry.at] if filters.sort != "at" else []
    keys.append(AuditEntry.id)
    if filters.order == "desc":
        return [key.desc() for key in keys]
    return [keys[0].asc(), *(key.desc() for key in keys[1:])] if len(keys) > 2 else keys


def _conditions(filters: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.actor:
        found.append(AuditEntry.actor == filters.actor)
    if filters.action:
        found.append(AuditEntry.action.in_(filters.action))
    if filters.entity:
        found.append(AuditEntry.entity == filters.entity)
    if filters.entity_id:
        found.append(AuditEntry.entity_id == filters.entity_id)
        if not filters.entity:  # the index begins with the kind
            found.append(AuditEntry.entity.in_(audit_names.KINDS))
    if filters.from_:
        found.append(AuditEntry.at >= filters.from_)
    if filters.to:
        found.append(AuditEntry.at < filters.to)
    if filters.q:
        found.append(_naming(audit_names.look_up(filters.q)))
    return found


def _naming(named: audit_names.Named) -> ColumnElement[bool]:
    """What a text names: things by their id, or who acted."""
    things = [
        (AuditEntry.entity == entity) & AuditEntry.entity_id.in_(sorted(ids))
        for entity, ids in sorted(named.things.items())
        if ids
    ]
    return or_(AuditEntry.actor.in_(sorted(named.actors)), *things)
