"""The one way by which audit entries are removed or emptied (DECISIONS 15).

The work is done by `audit_purge` in the database, which leaves an entry of its own; nothing else
can change a row of the log, this module no more than any other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.services.audit import Actor


class Purged(NamedTuple):
    """How many entries went, and how many were emptied of words."""

    removed: int = 0
    scrubbed: int = 0


_PURGE = text("""
    SELECT removed, scrubbed
      FROM audit_purge(CAST(:doomed AS uuid[]), CAST(:scrubbing AS jsonb), CAST(:keys AS text[]),
                       CAST(:why AS jsonb), :by_whom, :by_id, :from_ip, :moment)
""")


def purge(
    session: Session,
    *,
    actor: Actor,
    why: Mapping[str, Any],
    remove: Collection[UUID] = (),
    scrub: Mapping[UUID, Sequence[str]] | None = None,
    forget_ip: Collection[UUID] = (),
    keys: Sequence[str] = (),
) -> Purged:
    """Remove entries; take from others what stands under `keys` and every text that holds one of
    their words, or the address they came from. In the caller's transaction, one statement.

    `why` goes into the entry that tells of it, and names no guest. A purge's own entry stays.
    """
    scrubbing: list[dict[str, Any]] = [
        {"id": str(id_), "words": list(words)} for id_, words in (scrub or {}).items()
    ]
    scrubbing += [{"id": str(id_), "ip": True} for id_ in forget_ip]
    if not remove and not scrubbing:
        return Purged()
    row = session.execute(
        _PURGE,
        {
            "doomed": list(remove),
            "scrubbing": as_json(scrubbing),
            "keys": list(keys),
            "why": as_json(dict(why)),
            "by_whom": actor.label,
            "by_id": actor.user_id,
            "from_ip": actor.ip,
            "moment": clock.utcnow(),
        },
    ).one()
    return Purged(row.removed, row.scrubbed)


def as_json(value: Any) -> str:
    """The value as a parameter that is cast to jsonb."""
    return json.dumps(value, ensure_ascii=False)
