"""The words for the states of our rows, in one place (B2, C-20, contracts/tuya.md §5.3)."""

from __future__ import annotations

from enum import StrEnum


class ReservationStatus(StrEnum):
    PENDING = "pending"
    PENDING_SYNC = "pending_sync"
    CONFIRMED = "confirmed"
    CHECKED_IN = "checked_in"
    CHECKED_OUT = "checked_out"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    FAILED = "failed"


#: stays that are owed a PIN (C-21, DECISIONS 4)
NEEDS_PIN = frozenset(
    {ReservationStatus.CONFIRMED, ReservationStatus.PENDING_SYNC, ReservationStatus.CHECKED_IN}
)
#: front-desk facts that a channel's copy never undoes (DECISIONS 17)
FRONT_DESK = frozenset(
    {ReservationStatus.CHECKED_IN, ReservationStatus.CHECKED_OUT, ReservationStatus.NO_SHOW}
)


class CredentialState(StrEnum):
    REQUESTED = "requested"  # row written, nothing known to have been executed
    UNCERTAIN = "uncertain"  # write sent, answer lost: read back by name
    ACCEPTED = "accepted"  # the vendor gave an id
    PENDING = "pending"  # the vendor is delivering; the lock may sleep
    INSTALLED = "installed"  # the lock has it
    FAILED = "failed"
    UNKNOWN = "unknown"  # the vendor says something we have no word for
    REVOKING = "revoking"  # must leave the lock; it may still open
    REVOKED = "revoked"  # proven gone, or never sent


#: a credential that is meant to open the door, whether or not it does yet
WANTED = (
    CredentialState.REQUESTED,
    CredentialState.UNCERTAIN,
    CredentialState.ACCEPTED,
    CredentialState.PENDING,
    CredentialState.INSTALLED,
    CredentialState.FAILED,
    CredentialState.UNKNOWN,
)


class PinState(StrEnum):
    """What people see (INTERFACES §5, DECISIONS 10)."""

    NO_MAPPING = "no_mapping"
    AWAITING = "awaiting"
    GENERATING = "generating"
    DELIVERING = "delivering"
    ACTIVE = "active"
    FAILED = "failed"
    REVOKING = "revoking"
    REVOKED = "revoked"
    EXPIRED = "expired"
    NOT_NEEDED = "not_needed"


class PinJobKind(StrEnum):
    GENERATE = "generate"
    REVOKE = "revoke"


class PinJobStatus(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # stands among the failures; still tried while next_attempt_at is set
    CANCELLED = "cancelled"


#: jobs that may still act
OPEN_JOBS = (
    PinJobStatus.SCHEDULED,
    PinJobStatus.QUEUED,
    PinJobStatus.RUNNING,
    PinJobStatus.FAILED,
)


class RevokeReason(StrEnum):
    WINDOW_OVER = "window_over"
    CANCELLED = "cancelled"
    MOVED = "moved"
    UNMAPPED = "unmapped"
    REPROCESSED = "reprocessed"
    MANUAL = "manual"
    VANISHED = "vanished"  # the reservation row is gone (DECISIONS 2)
    DOUBLE_BOOKED = "double_booked"  # an earlier booking has the room (DECISIONS 5)


class LockTestState(StrEnum):
    REQUESTED = "requested"  # row written, nothing known to have been executed
    ACCEPTED = "accepted"  # the vendor gave an id; the lock may sleep
    INSTALLED = "installed"  # on the lock: somebody may type it
    REMOVING = "removing"  # must leave the lock; it may still open
    GONE = "gone"  # proven off the lock, or never sent


class RunStatus(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class EventStatus(StrEnum):
    RECEIVED = "received"
    PROCESSING = "processing"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    IGNORED = "ignored"
