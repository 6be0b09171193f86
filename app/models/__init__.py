"""Tables grouped by noun; importing this package registers all of them."""

from app.models.accommodation_syncs import AccommodationSync
from app.models.accommodations import Accommodation
from app.models.account_letters import AccountLetter
from app.models.alerts import Alert, AlertNotice, SystemSetting
from app.models.channels import (
    ChannelAccount,
    ChannelCalendarDay,
    ChannelMapping,
    ChannelProperty,
    RateLimitBucket,
    VendorState,
)
from app.models.credentials import Credential, PinJob
from app.models.events import ChannelEvent, ChannelEventAttempt, EventBatch
from app.models.holds import InventoryHold, MaintenanceBlock
from app.models.lock_tests import LockTest
from app.models.locks import Lock, LockMapping, MappingValidationLog
from app.models.matching import MatchDismissal
from app.models.metrics import MetricPoint
from app.models.processes import ProcessHeartbeat
from app.models.properties import Property, RoomType
from app.models.rates import Rate
from app.models.reconciliation import (
    ComparisonReport,
    Discrepancy,
    ReconciliationFailure,
    ReconciliationLog,
)
from app.models.reservations import Reservation
from app.models.rooms import RoomStatusChange
from app.models.users import AuditEntry, RecoveryCode, User, UserSession, UserToken

__all__ = [
    "Accommodation",
    "AccommodationSync",
    "AccountLetter",
    "Alert",
    "AlertNotice",
    "AuditEntry",
    "ChannelAccount",
    "ChannelCalendarDay",
    "ChannelEvent",
    "ChannelEventAttempt",
    "ChannelMapping",
    "ChannelProperty",
    "ComparisonReport",
    "Credential",
    "Discrepancy",
    "EventBatch",
    "InventoryHold",
    "Lock",
    "LockMapping",
    "LockTest",
    "MaintenanceBlock",
    "MappingValidationLog",
    "MatchDismissal",
    "MetricPoint",
    "PinJob",
    "ProcessHeartbeat",
    "Property",
    "Rate",
    "RateLimitBucket",
    "ReconciliationFailure",
    "ReconciliationLog",
    "RecoveryCode",
    "Reservation",
    "RoomStatusChange",
    "RoomType",
    "SystemSetting",
    "User",
    "UserSession",
    "UserToken",
    "VendorState",
]
