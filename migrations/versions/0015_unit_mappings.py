"""Units that have Beds24's ids already get their mapping, as every later one does."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

#: ids that Beds24 cannot have stay unmapped (app.domain.channel_rooms)
MAP_UNITS = """
    INSERT INTO channel_mappings (channel_property_id, mapping_type, internal_id, external_id)
    SELECT c.id, 'room', a.id, a.beds24_room_id || ':' || coalesce(a.beds24_unit_id, '1')
      FROM accommodations a
      JOIN channel_properties c ON c.property_id = a.property_id AND c.channel_name = 'beds24'
     WHERE a.beds24_room_id ~ '^[1-9][0-9]{0,17}$'
       AND coalesce(a.beds24_unit_id, '1') ~ '^[1-9][0-9]{0,3}$'
    ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    op.execute(MAP_UNITS)


def downgrade() -> None:
    """The units keep their ids; the mappings go with their table."""
