"""LockTest: a PIN for one hour, put on a lock by a person who stands before it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import LockTestState
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of


class LockTest(Stamped, Base):
    """One try of a lock, from the order to the proof that the PIN is off it again.

    It is no Credential: it belongs to no stay, and the plan of the PINs never sees it. Like one, it
    is read back by `vendor_name` when an answer was lost (`sent_at` set, no `vendor_ref`), and its
    digits are dropped once they are proven gone (C-14).
    """

    __tablename__ = "lock_tests"

    id: Mapped[Key]
    lock_id: Mapped[UUID] = mapped_column(ForeignKey("locks.id", ondelete="CASCADE"))
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(server_default=text("'requested'"))
    opened: Mapped[bool | None]  # what the person at the door said
    pin_encrypted: Mapped[str | None]
    pin_last2: Mapped[str]
    vendor_name: Mapped[str]
    vendor_ref: Mapped[str | None]
    vendor_detail: Mapped[str | None]
    valid_from: Mapped[Moment]
    expires_at: Mapped[Moment]
    sent_at: Mapped[Moment | None]
    accepted_at: Mapped[Moment | None]
    installed_at: Mapped[Moment | None]
    typed_at: Mapped[Moment | None]
    removal_at: Mapped[Moment | None]
    removal_sent_at: Mapped[Moment | None]
    gone_at: Mapped[Moment | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    lease_token: Mapped[UUID | None]
    last_error: Mapped[str | None]
    last_error_kind: Mapped[str | None]

    __table_args__ = (
        one_of("state", LockTestState),
        Index(
            "uq_lock_tests_open",
            "lock_id",
            unique=True,
            postgresql_where=text("state <> 'gone'"),
        ),
        Index("ix_lock_tests_lock_id_created_at", "lock_id", "created_at"),
        Index(
            "ix_lock_tests_due",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
    )
