"""Rate: what a night in a room type costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Stamped


class Rate(Stamped, Base):
    """The price of a night in the property's currency; the shortest stay beginning on it."""

    __tablename__ = "rates"

    id: Mapped[Key]
    room_type_id: Mapped[UUID] = mapped_column(ForeignKey("room_types.id", ondelete="CASCADE"))
    date: Mapped[date]
    price: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    min_stay: Mapped[int | None]

    __table_args__ = (
        UniqueConstraint("room_type_id", "date"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("min_stay BETWEEN 1 AND 365", name="min_stay"),
    )
