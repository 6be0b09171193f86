"""The words of the diagnosis: verdicts, causes, links of the chain, and what helps with which."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    YES = "yes"
    NO = "no"
    NOT_YET = "not_yet"
    NOT_NEEDED = "not_needed"


class Cause(StrEnum):
    ON_LOCK = "on_lock"
    CHANGE_PENDING = "change_pending"
    CHANGE_FAILED = "change_failed"
    UNKNOWN_STATUS = "unknown_status"
    PENDING_BOOKING = "pending_booking"
    BOOKING_FAILED = "booking_failed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    STAY_OVER = "stay_over"
    ROOM_LATER = "room_later"
    NO_FREE_ROOM = "no_free_room"
    NO_ROOM = "no_room"
    ROOM_INACTIVE = "room_inactive"
    NO_LOCK = "no_lock"
    DOUBLE_BOOKED = "double_booked"
    NOT_DUE = "not_due"
    IN_LINE = "in_line"
    WORKER_GONE = "worker_gone"
    QUEUE_BEHIND = "queue_behind"
    REVOKED_BY_PERSON = "revoked_by_person"
    KEY_MISSING = "key_missing"
    NOT_CONFIGURED = "not_configured"
    UNAUTHORIZED = "unauthorized"
    QUOTA = "quota"
    CLOCK_SKEW = "clock_skew"
    VENDOR_UNREACHABLE = "vendor_unreachable"
    VENDOR_UNREADABLE = "vendor_unreadable"
    RATE_LIMITED = "rate_limited"
    LOCK_OFFLINE = "lock_offline"
    NEIGHBOURS_OFFLINE = "neighbours_offline"
    LOCK_BUSY = "lock_busy"
    LOCK_FULL = "lock_full"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    SLEEPING = "sleeping"
    DELIVERING = "delivering"
    UNSEEN = "unseen"
    DELIVERY_FAILED = "delivery_failed"
    VANISHED = "vanished"
    REMOVED_ELSEWHERE = "removed_elsewhere"
    UNKNOWN_STATE = "unknown_state"
    REMOVING = "removing"
    REVOKE_OVERDUE = "revoke_overdue"


class LinkKey(StrEnum):
    BOOKING = "booking"
    LOCK = "lock"
    CREATED = "created"
    SENT = "sent"
    CONFIRMED = "confirmed"
    REMOVED = "removed"


class LinkState(StrEnum):
    OK = "ok"
    BROKEN = "broken"
    WAITING = "waiting"
    NOT_REACHED = "not_reached"


class Help(StrEnum):
    """The one action that helps."""

    NONE = "none"
    WAIT = "wait"
    CONFIRM_IN_CHANNEL = "confirm_in_channel"
    ASSIGN_ROOM = "assign_room"
    ACTIVATE_ROOM = "activate_room"
    CONNECT_LOCK = "connect_lock"
    MOVE_ONE_STAY = "move_one_stay"
    REPROCESS = "reprocess"
    START_WORKERS = "start_workers"
    SET_UP_VENDOR = "set_up_vendor"
    CHECK_CREDENTIALS = "check_credentials"
    RENEW_PLAN = "renew_plan"
    SET_CLOCK = "set_clock"
    RESTORE_KEY = "restore_key"
    CHECK_LOCK_POWER = "check_lock_power"
    CHECK_GATEWAY = "check_gateway"
    FREE_SLOTS = "free_slots"
    CHECK_LOCK_SETTINGS = "check_lock_settings"
    TOUCH_KEYPAD = "touch_keypad"
    ASK_VENDOR = "ask_vendor"


#: the one action that helps, by cause
HELPS = {
    Cause.ON_LOCK: Help.NONE,
    Cause.CHANGE_PENDING: Help.WAIT,
    Cause.CHANGE_FAILED: Help.REPROCESS,
    Cause.UNKNOWN_STATUS: Help.CONFIRM_IN_CHANNEL,
    Cause.PENDING_BOOKING: Help.CONFIRM_IN_CHANNEL,
    Cause.ROOM_LATER: Help.WAIT,
    Cause.NO_FREE_ROOM: Help.ASSIGN_ROOM,
    Cause.NO_ROOM: Help.ASSIGN_ROOM,
    Cause.ROOM_INACTIVE: Help.ACTIVATE_ROOM,
    Cause.NO_LOCK: Help.CONNECT_LOCK,
    Cause.DOUBLE_BOOKED: Help.MOVE_ONE_STAY,
    Cause.NOT_DUE: Help.WAIT,
    Cause.IN_LINE: Help.WAIT,
    Cause.WORKER_GONE: Help.START_WORKERS,
    Cause.QUEUE_BEHIND: Help.WAIT,
    Cause.REVOKED_BY_PERSON: Help.REPROCESS,
    Cause.KEY_MISSING: Help.RESTORE_KEY,
    Cause.NOT_CONFIGURED: Help.SET_UP_VENDOR,
    Cause.UNAUTHORIZED: Help.CHECK_CREDENTIALS,
    Cause.QUOTA: Help.RENEW_PLAN,
    Cause.CLOCK_SKEW: Help.SET_CLOCK,
    Cause.VENDOR_UNREACHABLE: Help.WAIT,
    Cause.VENDOR_UNREADABLE: Help.ASK_VENDOR,
    Cause.RATE_LIMITED: Help.WAIT,
    Cause.LOCK_OFFLINE: Help.CHECK_LOCK_POWER,
    Cause.NEIGHBOURS_OFFLINE: Help.CHECK_GATEWAY,
    Cause.LOCK_BUSY: Help.WAIT,
    Cause.LOCK_FULL: Help.FREE_SLOTS,
    Cause.REJECTED: Help.CHECK_LOCK_SETTINGS,
    Cause.UNCERTAIN: Help.WAIT,
    Cause.SLEEPING: Help.TOUCH_KEYPAD,
    Cause.DELIVERING: Help.WAIT,
    Cause.UNSEEN: Help.WAIT,
    Cause.DELIVERY_FAILED: Help.CHECK_LOCK_POWER,
    Cause.VANISHED: Help.WAIT,
    Cause.REMOVED_ELSEWHERE: Help.REPROCESS,
    Cause.UNKNOWN_STATE: Help.ASK_VENDOR,
    Cause.REMOVING: Help.WAIT,
    Cause.REVOKE_OVERDUE: Help.TOUCH_KEYPAD,
}

#: an error's kind -> the cause it stands for
ERRORS = {
    "key_missing": Cause.KEY_MISSING,
    "not_configured": Cause.NOT_CONFIGURED,
    "unauthorized": Cause.UNAUTHORIZED,
    "quota": Cause.QUOTA,
    "clock_skew": Cause.CLOCK_SKEW,
    "unreachable": Cause.VENDOR_UNREACHABLE,
    "unreadable": Cause.VENDOR_UNREADABLE,
    "rate_limited": Cause.RATE_LIMITED,
    "lock_offline": Cause.LOCK_OFFLINE,
    "lock_busy": Cause.LOCK_BUSY,
    "lock_full": Cause.LOCK_FULL,
    "rejected": Cause.REJECTED,
    "not_supported": Cause.REJECTED,
    "not_found": Cause.REJECTED,
    "pin_taken": Cause.REJECTED,
    "start_in_past": Cause.CLOCK_SKEW,
    "unconfirmed": Cause.UNCERTAIN,
    "name_taken": Cause.UNCERTAIN,
    "delivery_failed": Cause.DELIVERY_FAILED,
    "vanished": Cause.VANISHED,
    "removed_elsewhere": Cause.REMOVED_ELSEWHERE,
    "unknown_state": Cause.UNKNOWN_STATE,
    "error": Cause.VENDOR_UNREADABLE,
}
