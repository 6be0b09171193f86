"""Letters about changes to accounts that still have to be sent."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

ACCOUNT_CHANGES = ("password", "factor_on", "factor_off", "recovery_codes", "role")


class AccountLetter(Stamped, Base):
    """What one person still has to be told; its id is the message's. Gone once it is sent, kept as
    `failed` with the reason when its tries are spent."""

    __tablename__ = "account_letters"

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    change: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(10), server_default=text("'pending'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    last_error: Mapped[str | None]

    __table_args__ = (
        one_of("change", ACCOUNT_CHANGES),
        one_of("status", ("pending", "failed")),
        Index(
            "ix_account_letters_due",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
    )
