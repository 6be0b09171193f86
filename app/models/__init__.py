"""Tables grouped by noun; importing this package registers all of them."""

from app.models.accommodation_syncs import AccommodationSync
from app.models.accommodations import Accommodation
from app.models.alerts import Alert
from app.models.channels import ChannelProperty, VendorState
from app.models.credentials import Credential, PinJob
from app.models.events import ChannelEvent, ChannelEventAttempt
from app.models.lock_tests import LockTest
from app.models.locks import Lock, LockMapping, MappingValidationLog
from app.models.matching import MatchDismissal
from app.models.processes import ProcessHeartbeat
from app.models.properties import Property, RoomType
from app.models.reconciliation import ReconciliationFailure, ReconciliationLog
from app.models.reservations import Reservation
from app.models.users import AuditEntry, User, UserSession

__all__ = [
    "Accommodation",
    "AccommodationSync",
    "Alert",
    "AuditEntry",
    "ChannelEvent",
    "ChannelEventAttempt",
    "ChannelProperty",
    "Credential",
    "Lock",
    "LockMapping",
    "LockTest",
    "MappingValidationLog",
    "MatchDismissal",
    "PinJob",
    "ProcessHeartbeat",
    "Property",
    "ReconciliationFailure",
    "ReconciliationLog",
    "Reservation",
    "RoomType",
    "User",
    "UserSession",
    "VendorState",
]
