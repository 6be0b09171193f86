"""Users, their sessions and second factor, and the audit log: who may what, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

ROLES = ("admin", "staff")


class User(Stamped, Base):
    """A person who signs in; `email` is stored in lower case."""

    __tablename__ = "users"

    id: Mapped[Key]
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(server_default=text("''"))
    role: Mapped[str]
    password_hash: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    language: Mapped[str | None]
    last_login_at: Mapped[Moment | None]
    password_changed_at: Mapped[Moment | None]
    invited_at: Mapped[Moment | None]  # set until the person has chosen a password
    totp_secret_encrypted: Mapped[str | None]
    totp_confirmed_at: Mapped[Moment | None]  # the second factor is asked for from then on
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)  # a code works once
    #: bearer tokens and half-finished sign-ins of an earlier one are refused
    token_epoch: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (
        one_of("role", ROLES),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def display_name(self) -> str:
        return self.name or self.email.split("@")[0]


class UserSession(Base):
    """One signed-in browser. The cookie holds a random token; only its hash is stored."""

    __tablename__ = "user_sessions"

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]


class UserToken(Base):
    """A link that lets a person choose a password: an invitation or a reset; works once."""

    __tablename__ = "user_tokens"

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_by: Mapped[str]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]

    __table_args__ = (one_of("purpose", ("invite", "reset")),)


class RecoveryCode(Base):
    """A code that stands in for the second factor once."""

    __tablename__ = "recovery_codes"

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str]
    used_at: Mapped[Moment | None]


class AuditEntry(Base):
    """Append-only by trigger (DECISIONS 15); actors are copied, so that it outlives them."""

    __tablename__ = "audit_log"

    id: Mapped[Key]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    actor: Mapped[str]  # an e-mail address, a channel's name, or "system"
    actor_id: Mapped[UUID | None]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    ip: Mapped[str | None]

    __table_args__ = (
        Index("ix_audit_log_at_id", "at", "id"),
        Index("ix_audit_log_entity", "entity", "entity_id", "at"),
        Index("ix_audit_log_action_at", "action", "at"),
        Index("ix_audit_log_actor_at", "actor", "at"),
    )
