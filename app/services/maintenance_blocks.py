"""Units nobody can sleep in for some nights: by our own decision, or as a channel says."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import MaintenanceBlock


def apply_channel_block(
    session: Session,
    *,
    channel: str,
    external_id: str,
    room_type_id: UUID,
    accommodation_id: UUID | None,
    start_date: date,
    end_date: date,
    units: int,
    modified_at: datetime | None,
) -> UUID | None:
    """Make our block say what the channel's says; its id, None when ours is newer.

    `end_date` is the first night that is free again. A named room is one unit, whatever `units`
    says. The channel counts its own blocks, so nothing is told back to it.
    """
    values = {
        "room_type_id": room_type_id,
        "accommodation_id": accommodation_id,
        "start_date": start_date,
        "end_date": end_date,
        "units": 1 if accommodation_id is not None else units,
        "source_modified_at": modified_at,
    }
    known = _stored(session, channel, external_id)
    if known is not None and _is_newer(known, modified_at):
        return None
    statement = insert(MaintenanceBlock).values(channel=channel, external_id=external_id, **values)
    return session.scalars(
        statement.on_conflict_do_update(
            index_elements=["channel", "external_id"],
            index_where=MaintenanceBlock.external_id.is_not(None),
            set_=values,
        ).returning(MaintenanceBlock.id)
    ).one()


def remove_channel_block(
    session: Session, channel: str, external_id: str, modified_at: datetime | None
) -> bool:
    """The channel has lifted the block; whether there was one that it knows more about than we."""
    known = _stored(session, channel, external_id)
    if known is None or _is_newer(known, modified_at):
        return False
    session.execute(delete(MaintenanceBlock).where(MaintenanceBlock.id == known.id))
    return True


def _stored(session: Session, channel: str, external_id: str) -> MaintenanceBlock | None:
    return session.scalar(
        select(MaintenanceBlock)
        .where(MaintenanceBlock.channel == channel, MaintenanceBlock.external_id == external_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def _is_newer(known: MaintenanceBlock, modified_at: datetime | None) -> bool:
    stored = known.source_modified_at
    return stored is not None and modified_at is not None and modified_at < stored
