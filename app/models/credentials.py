"""Credential and PinJob: a permission on one lock, and the orders to set and to clear it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import (
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    RevokeReason,
)
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of


def _in(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class Credential(Stamped, Base):
    """One PIN for one stay on one lock.

    `valid_from`/`expires_at` is the window we want; `sent_from`/`sent_until` the planned one that
    the vendor last accepted; they differ while a change is on its way. `sent_at` set without
    `vendor_ref` means that a create may have been executed: it is read back by `vendor_name`.
    `installed_at` is of the window last sent, `first_installed_at` of any. `pin_encrypted` is
    dropped once the PIN is proven gone (C-14).
    """

    __tablename__ = "credentials"

    id: Mapped[Key]
    reservation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("reservations.id", ondelete="SET NULL")
    )
    lock_id: Mapped[UUID] = mapped_column(ForeignKey("locks.id", ondelete="RESTRICT"))
    pin_encrypted: Mapped[str | None]
    pin_last2: Mapped[str]
    pin_fingerprint: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'requested'"))
    is_active: Mapped[bool] = mapped_column(Computed("state = 'installed'", persisted=True))
    valid_from: Mapped[Moment]
    expires_at: Mapped[Moment]
    sent_from: Mapped[Moment | None]
    sent_until: Mapped[Moment | None]
    vendor_ref: Mapped[str | None]
    vendor_name: Mapped[str]
    vendor_detail: Mapped[str | None]
    sent_at: Mapped[Moment | None]
    accepted_at: Mapped[Moment | None]
    installed_at: Mapped[Moment | None]
    first_installed_at: Mapped[Moment | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[Moment | None]
    last_error: Mapped[str | None]
    last_error_kind: Mapped[str | None]
    revoke_reason: Mapped[str | None]
    revoke_requested_at: Mapped[Moment | None]
    revoke_sent_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]
    purged_at: Mapped[Moment | None]

    __table_args__ = (
        one_of("state", CredentialState),
        one_of("revoke_reason", RevokeReason),
        CheckConstraint("expires_at > valid_from", name="window"),
        UniqueConstraint("lock_id", "vendor_name"),
        Index(
            "uq_credentials_wanted",
            "reservation_id",
            "lock_id",
            unique=True,
            postgresql_where=text(f"{_in('state', WANTED)} AND reservation_id IS NOT NULL"),
        ),
        Index(
            "uq_credentials_pin",
            "lock_id",
            "pin_fingerprint",
            unique=True,
            postgresql_where=text("state <> 'revoked'"),
        ),
        Index("ix_credentials_reservation_id_created_at", "reservation_id", "created_at"),
        Index(
            "ix_credentials_live", "lock_id", "state", postgresql_where=text("state <> 'revoked'")
        ),
    )


class PinJob(Stamped, Base):
    """A durable order: put one credential on its lock, or take it off.

    `run_at` is the planned moment, `next_attempt_at` the next try; None means that nothing is due
    until something changes. `valid_from`/`expires_at` is the planned window of the stay while there
    is no credential yet. `lease_until` and `lease_token` belong to the worker that has it.
    """

    __tablename__ = "pin_jobs"

    id: Mapped[Key]
    reservation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("reservations.id", ondelete="SET NULL")
    )
    credential_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("credentials.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str]
    job_id: Mapped[str]  # gen-<reservationId>, rev-<reservationId> (C-52)
    run_at: Mapped[Moment]
    valid_from: Mapped[Moment]
    expires_at: Mapped[Moment]
    status: Mapped[str] = mapped_column(server_default=text("'scheduled'"))
    reason: Mapped[str | None]  # revoke: why
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    lease_token: Mapped[UUID | None]
    last_error: Mapped[str | None]
    last_error_kind: Mapped[str | None]
    finished_at: Mapped[Moment | None]

    __table_args__ = (
        one_of("kind", PinJobKind),
        one_of("status", PinJobStatus),
        one_of("reason", RevokeReason),
        Index(
            "uq_pin_jobs_open_generate",
            "reservation_id",
            unique=True,
            postgresql_where=text(f"kind = 'generate' AND {_in('status', OPEN_JOBS)}"),
        ),
        Index(
            "uq_pin_jobs_open_revoke",
            "credential_id",
            unique=True,
            postgresql_where=text(
                f"kind = 'revoke' AND credential_id IS NOT NULL AND {_in('status', OPEN_JOBS)}"
            ),
        ),
        Index(
            "uq_pin_jobs_planned_revoke",
            "reservation_id",
            unique=True,
            postgresql_where=text(
                f"kind = 'revoke' AND credential_id IS NULL AND {_in('status', OPEN_JOBS)}"
            ),
        ),
        Index(
            "ix_pin_jobs_due",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index("ix_pin_jobs_reservation_id_kind", "reservation_id", "kind"),
        Index(
            "ix_pin_jobs_open_job_id",
            "job_id",
            postgresql_where=text(_in("status", OPEN_JOBS)),
        ),
    )
