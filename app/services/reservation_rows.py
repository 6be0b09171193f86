"""Reads and writes many reservation rows at once, without an object per row.

A run compares ten thousand stays with a budget of three times one select (INTERFACES §11), so these
statements are spelled in SQL and every list goes in as one array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

#: column -> type, of everything a channel's copy decides
COLUMNS: dict[str, str] = {
    "property_id": "uuid",
    "accommodation_id": "uuid",
    "room_type_id": "uuid",
    "external_code": "text",
    "status": "text",
    "unknown_status": "text",
    "guest_name": "text",
    "guest_email": "text",
    "guest_phone": "text",
    "adults": "int",
    "children": "int",
    "check_in_at": "timestamptz",
    "check_out_at": "timestamptz",
    "check_in_on": "date",
    "check_out_on": "date",
    "check_in_time_known": "boolean",
    "check_out_time_known": "boolean",
    "amount": "numeric",
    "currency": "text",
    "partner": "text",
    "partner_ref": "text",
    "booked_at": "timestamptz",
    "group_ref": "text",
    "channel_room_ref": "text",
    "source_modified_at": "timestamptz",
    "content_hash": "text",
    "sweep_hash": "text",
    "cancelled_at": "timestamptz",
    "search_text": "text",
}
#: what is written when a copy says nothing new but was said anew
MARKS = ("source_modified_at", "content_hash", "sweep_hash")

Row = Mapping[str, Any]


def _unnest(columns: Mapping[str, str]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    return f"unnest({arrays})"


def _arrays(rows: Sequence[Row], columns: Mapping[str, str]) -> dict[str, str]:
    return {name: literal(kind, [row[name] for row in rows]) for name, kind in columns.items()}


def literal(kind: str, items: Sequence[Any]) -> str:
    """A PostgreSQL array of `kind` as text; many times faster than the driver's own way, which
    looks at each item to find out what it is."""
    if kind == "text":
        written = ["NULL" if item is None else _quoted(item) for item in items]
    elif kind == "timestamptz":
        written = ["NULL" if item is None else item.isoformat() for item in items]
    else:  # uuid, date, boolean, int, numeric: their text holds no sign that needs quoting
        written = ["NULL" if item is None else str(item) for item in items]
    return "{" + ",".join(written) + "}"


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_UPDATED = {"id": "uuid", **COLUMNS}
_MARKED = {"id": "uuid", **{name: COLUMNS[name] for name in MARKS}}
_INSERTED = {"external_id": "text", "unit_no": "int", **COLUMNS}
_COMPARED = {
    "external_id": "text",
    "ref": "text",
    "hash": "text",
    "sweep": "text",
    "modified": "timestamptz",
}
_COMPARED_PLACES = {
    "external_id": "text",
    "accommodation": "uuid",
    "room_type": "uuid",
    "hash": "text",
    "sweep": "text",
    "modified": "timestamptz",
}

_COMPARE = text(f"""
    SELECT u.n - 1
      FROM {_unnest(_COMPARED)} WITH ORDINALITY AS u({", ".join(_COMPARED)}, n)
      LEFT JOIN reservations r
        ON r.channel = :channel AND r.external_id = u.external_id AND r.unit_no = 1
      LEFT JOIN accommodations a ON a.stays_id = u.ref
     WHERE r.id IS NULL
        OR r.content_hash IS DISTINCT FROM u.hash
        OR r.accommodation_id IS DISTINCT FROM a.id
        OR (u.sweep IS NOT NULL AND r.sweep_hash IS DISTINCT FROM u.sweep)
        OR u.modified > r.source_modified_at
""")  # noqa: S608 - column names and types from this module only

_COMPARE_PLACES = text(f"""
    SELECT u.n - 1
      FROM {_unnest(_COMPARED_PLACES)} WITH ORDINALITY AS u({", ".join(_COMPARED_PLACES)}, n)
      LEFT JOIN reservations r
        ON r.channel = :channel AND r.external_id = u.external_id AND r.unit_no = 1
     WHERE r.id IS NULL
        OR r.content_hash IS DISTINCT FROM u.hash
        OR (u.accommodation IS NOT NULL AND r.accommodation_id IS DISTINCT FROM u.accommodation)
        OR (u.accommodation IS NULL AND r.room_type_id IS DISTINCT FROM u.room_type)
        OR (u.sweep IS NOT NULL AND r.sweep_hash IS DISTINCT FROM u.sweep)
        OR u.modified > r.source_modified_at
""")  # noqa: S608

_SELECT = f"""
    SELECT r.id, r.external_id, r.unit_no, r.source, r.api_reference, r.version, r.anonymised_at,
           p.timezone, a.name AS room_name, a.room_type_id AS room_kind,
           {", ".join(f"r.{c}" for c in COLUMNS)}
      FROM reservations r
      JOIN properties p ON p.id = r.property_id
      LEFT JOIN accommodations a ON a.id = r.accommodation_id
"""  # noqa: S608
_READ = f"""{_SELECT}
     WHERE r.channel = :channel AND r.external_id = ANY(:ids)
     ORDER BY r.external_id, r.unit_no
"""
_READ_OURS = f"""{_SELECT}
     WHERE r.api_reference = ANY(:ids) AND r.source = 'direct'
     ORDER BY r.api_reference, r.unit_no
"""
_LOCKED = " FOR NO KEY UPDATE OF r"

_INSERT = text(f"""
    INSERT INTO reservations
           (source, channel, created_at, updated_at, {", ".join(_INSERTED)})
    SELECT :channel, :channel, :now, :now, u.*
      FROM {_unnest(_INSERTED)} AS u({", ".join(_INSERTED)})
    ON CONFLICT DO NOTHING
    RETURNING id, external_id, unit_no
""")  # noqa: S608

_UPDATE = text(f"""
    UPDATE reservations r
       SET version = r.version + 1, updated_at = :now, {", ".join(f"{c} = u.{c}" for c in COLUMNS)}
      FROM {_unnest(_UPDATED)} AS u(id, {", ".join(COLUMNS)})
     WHERE r.id = u.id
""")  # noqa: S608

_MARK = text(f"""
    UPDATE reservations r SET {", ".join(f"{c} = u.{c}" for c in MARKS)}
      FROM {_unnest(_MARKED)} AS u(id, {", ".join(MARKS)})
     WHERE r.id = u.id
""")  # noqa: S608


#: what we have changed ourselves since: the channel is being told, or was told at `at`
_OWN = text("""
    SELECT entity_internal_id AS id, max(received_at) AS at,
           bool_or(status <> 'done') AS open
      FROM channel_events
     WHERE direction = 'outbound' AND entity_type = 'booking'
       AND entity_internal_id = ANY(:ids) AND event_type <> 'pms.booking.create'
       AND status IN ('received', 'processing', 'retrying', 'done')
     GROUP BY entity_internal_id
""")
_ADOPT = text("""
    UPDATE reservations r SET channel = :channel, external_id = u.external_id
      FROM unnest(CAST(:id AS uuid[]), CAST(:external_id AS text[])) AS u(id, external_id)
     WHERE r.id = u.id
""")


def compare(session: Session, channel: str, arrays: Mapping[str, Sequence[Any]]) -> list[int]:
    """Positions of what is new or may differ from what is stored.

    `arrays` holds equally long lists under `external_id, ref, hash, sweep, modified`. The content
    hash decides; the unit is compared as well, since what a channel id stands for can be changed
    on our side.
    """
    lists = {name: literal(kind, arrays[name]) for name, kind in _COMPARED.items()}
    return list(session.scalars(_COMPARE, {"channel": channel, **lists}))


def compare_places(
    session: Session, channel: str, arrays: Mapping[str, Sequence[Any]]
) -> list[int]:
    """`compare` for a channel whose rooms are mapped: `accommodation` is the one it names, or None
    and the `room_type` decides; a room that we gave the stay ourselves is no difference."""
    lists = {name: literal(kind, arrays[name]) for name, kind in _COMPARED_PLACES.items()}
    return list(session.scalars(_COMPARE_PLACES, {"channel": channel, **lists}))


def read(
    session: Session, channel: str, external_ids: Sequence[str], *, lock: bool
) -> dict[str, list[Row]]:
    """The stored rows of each booking, its first unit first, locked in the order of external id
    and unit: every writer uses it, so that a webhook and a run wait for each other instead of for
    ever. Each row carries its house's `timezone`, and its room's `room_name` and `room_kind`."""
    sql = text(_READ + _LOCKED if lock else _READ)
    found: dict[str, list[Row]] = {}
    for row in session.execute(sql, {"channel": channel, "ids": list(external_ids)}).mappings():
        found.setdefault(row["external_id"], []).append(dict(row))
    return found


def read_ours(
    session: Session, api_references: Sequence[str], *, lock: bool
) -> dict[str, list[Row]]:
    """The rows of our own bookings by the reference under which a channel was given them."""
    sql = text(_READ_OURS + _LOCKED if lock else _READ_OURS)
    found: dict[str, list[Row]] = {}
    for row in session.execute(sql, {"ids": list(api_references)}).mappings():
        found.setdefault(row["api_reference"], []).append(dict(row))
    return found


def own_changes(session: Session, ids: Sequence[UUID]) -> dict[UUID, datetime | None]:
    """When each of these bookings was last changed here and the channel told; None while it has
    not been told yet."""
    if not ids:
        return {}
    rows = session.execute(_OWN, {"ids": list(ids)})
    return {row.id: None if row.open else row.at for row in rows}


def insert(
    session: Session, channel: str, rows: Sequence[Row], now: datetime
) -> dict[tuple[str, int], UUID]:
    """Insert `rows`; the ids of those that were not there yet, by external id and unit."""
    if not rows:
        return {}
    params = {"channel": channel, "now": now, **_arrays(rows, _INSERTED)}
    return {(key, unit): id_ for id_, key, unit in session.execute(_INSERT, params)}


def adopt(session: Session, channel: str, external_ids: Mapping[UUID, str]) -> None:
    """Note under which ids the channel has bookings of ours, by reservation id."""
    if external_ids:
        params = {
            "id": literal("uuid", list(external_ids)),
            "external_id": literal("text", list(external_ids.values())),
        }
        session.execute(_ADOPT, {"channel": channel, **params})


def update(session: Session, rows: Sequence[Row], now: datetime) -> None:
    """Write every column of `rows`, which carry their `id`; one version further each."""
    if rows:
        session.execute(_UPDATE, {"now": now, **_arrays(rows, _UPDATED)})


def mark(session: Session, rows: Sequence[Row]) -> None:
    """Write only what we keep about the copy itself; nobody's version moves."""
    if rows:
        session.execute(_MARK, _arrays(rows, _MARKED))
