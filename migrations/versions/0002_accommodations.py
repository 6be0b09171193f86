"""Properties, room types and accommodations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "properties",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("check_in_time", sa.Time(), server_default=sa.text("'15:00'"), nullable=False),
        sa.Column("check_out_time", sa.Time(), server_default=sa.text("'11:00'"), nullable=False),
        sa.Column("pin_lead_hours", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("pin_grace_hours", sa.Integer(), server_default=sa.text("24"), nullable=False),
        sa.Column("pin_preload_hours", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_horizon_days", sa.Integer(), nullable=True),
        sa.Column("contingency", sa.String(), server_default=sa.text("'nothing'"), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "contingency IN ('spare_card', 'key', 'master_code', 'nothing')",
            name=op.f("ck_properties_contingency"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_properties_currency")),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("ck_properties_name")),
        sa.CheckConstraint(
            "pin_grace_hours BETWEEN 0 AND 168", name=op.f("ck_properties_pin_grace_hours")
        ),
        sa.CheckConstraint(
            "pin_lead_hours BETWEEN 0 AND 72", name=op.f("ck_properties_pin_lead_hours")
        ),
        sa.CheckConstraint(
            "pin_preload_hours BETWEEN 0 AND 168", name=op.f("ck_properties_pin_preload_hours")
        ),
        sa.CheckConstraint(
            "reserved_horizon_days >= 0", name=op.f("ck_properties_reserved_horizon_days")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_properties")),
    )
    op.create_table(
        "room_types",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("property_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("total_units", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "total_units BETWEEN 0 AND 9999", name=op.f("ck_room_types_total_units")
        ),
        sa.ForeignKeyConstraint(
            ["property_id"],
            ["properties.id"],
            name=op.f("fk_room_types_property_id_properties"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_types")),
        sa.UniqueConstraint("property_id", "name", name=op.f("uq_room_types_property_id_name")),
    )
    op.create_table(
        "accommodations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("property_id", sa.Uuid(), nullable=False),
        sa.Column("room_type_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("stays_id", sa.String(), nullable=True),
        sa.Column("beds24_room_id", sa.String(), nullable=True),
        sa.Column("beds24_unit_id", sa.String(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("status", sa.String(), server_default=sa.text("'AVAILABLE'"), nullable=False),
        sa.Column("housekeeping", sa.String(), server_default=sa.text("'clean'"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "housekeeping IN ('clean', 'dirty', 'in_progress', 'inspected')",
            name=op.f("ck_accommodations_housekeeping"),
        ),
        sa.CheckConstraint(
            "status IN ('AVAILABLE', 'RESERVED', 'OCCUPIED', 'DIRTY', 'CLEAN', 'MAINTENANCE', 'OUT_OF_SERVICE')",
            name=op.f("ck_accommodations_status"),
        ),
        sa.ForeignKeyConstraint(
            ["property_id"],
            ["properties.id"],
            name=op.f("fk_accommodations_property_id_properties"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["room_type_id"],
            ["room_types.id"],
            name=op.f("fk_accommodations_room_type_id_room_types"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accommodations")),
        sa.UniqueConstraint("stays_id", name=op.f("uq_accommodations_stays_id")),
    )
    op.create_index(
        "ix_accommodations_property_id_name",
        "accommodations",
        ["property_id", "name"],
        unique=False,
    )
    op.create_index(
        op.f("ix_accommodations_room_type_id"), "accommodations", ["room_type_id"], unique=False
    )
    op.create_index(
        "uq_accommodations_beds24_unit",
        "accommodations",
        ["beds24_room_id", sa.literal_column("coalesce(beds24_unit_id, '1')")],
        unique=True,
        postgresql_where=sa.text("beds24_room_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("accommodations")
    op.drop_table("room_types")
    op.drop_table("properties")
