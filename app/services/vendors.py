"""The vendors' clients of this process, and what real traffic has taught us about each vendor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.errors import Unavailable
from app.integrations import channels, locks
from app.integrations.channels import ChannelClient, beds24, load_channel
from app.integrations.channels.beds24 import Beds24Client
from app.integrations.errors import IntegrationError, QuotaExhausted
from app.integrations.locks import LockClient, load_vendor
from app.models import VendorState
from app.runtime import settings
from app.services import alerts, channel_accounts, rate_limits
from app.services.channel_tokens import AccountTokens
from app.transaction import transaction

#: a success is written down at most this often while nothing was wrong
QUIET = timedelta(seconds=30)
#: how long a spent quota pauses every order before one is tried again
QUOTA_PAUSE = timedelta(minutes=15)
#: how long the others wait for the first call after such a pause
PROBE = timedelta(seconds=30)
#: a clock this far off is an alarm (contracts/tuya.md §10)
SKEW_SECONDS = 60.0

_clients: dict[tuple[str, int], object] = {}
_guard = threading.Lock()


def _client(name: str, make: Callable[[], object]) -> object:
    key = (name, id(settings()))
    with _guard:
        if key not in _clients:
            _clients[key] = make()
        return _clients[key]


def forget_clients() -> None:
    """Build the clients anew on next use (after a fork, in tests)."""
    with _guard:
        _clients.clear()


def lock_client(vendor: str) -> LockClient:
    """The one client of a lock vendor in this process. Raises Unavailable when not configured."""
    known = locks.KNOWN.get(vendor)
    if known is not None and not known.ready(settings()):
        raise Unavailable(f"no lock vendor is configured: set {known.variables}")
    return cast(LockClient, _client(f"lock:{vendor}", lambda: load_vendor(vendor)(settings())))


def channel_ready(channel: str) -> bool:
    """Whether the environment holds an account of this channel that speaks for all of it."""
    return _dialect(channel) is not None


def _dialect(channel: str) -> str | None:
    known = channels.KNOWN.get(channel)
    return known.dialect(settings()) if known is not None and known.dialect is not None else None


def channel_client(channel: str = "stays") -> ChannelClient:
    """The one client of a channel in this process. Raises Unavailable when not configured."""
    dialect = _dialect(channel)
    if dialect is None:
        missing = channels.KNOWN[channel].variables
        raise Unavailable(f"{channels.title(channel)} is not configured: set {missing}")
    made = _client(f"channel:{dialect}", lambda: load_channel(dialect)(settings()))
    return cast(ChannelClient, made)


def beds24_client(channel_property_id: UUID) -> Beds24Client:
    """The client of the account that speaks for a property at Beds24; properties of one account
    share it. Raises NotFound for an unknown connection, Unavailable when there is no token."""
    return beds24_account(channel_accounts.of_property(channel_property_id))


def beds24_account(account_id: UUID) -> Beds24Client:
    """The one client of an account in this process. Its tokens are read anew for every call, so
    that what another process renewed or a person replaced is used at once."""

    def make() -> Beds24Client:
        tokens, meter = AccountTokens(account_id), rate_limits.hooks(account_id)
        return beds24.connect(
            settings().beds24_api_url,
            tokens,
            before_call=meter.before_call,
            on_credits=meter.on_credits,
            on_limited=meter.on_limited,
            standing=tokens,
        )

    return cast(Beds24Client, _client(f"beds24:{account_id}", make))


def listings_clients(channel: str) -> list[ChannelClient]:
    """The clients that list a channel's units, one per account in use. Raises Unavailable when
    there is none."""
    if channel != "beds24":
        return [channel_client(channel)]
    with transaction() as session:
        accounts = channel_accounts.in_use(session)
        if not accounts and (shared := channel_accounts.environment(session)) is not None:
            accounts = [shared]
    if not accounts:
        raise Unavailable(channel_accounts.NOT_CONFIGURED)
    return [beds24_account(account_id) for account_id in accounts]


def lock_vendors() -> list[str]:
    """The lock vendors that are set up. Raises Unavailable when there is none."""
    ready = [name for name, vendor in locks.KNOWN.items() if vendor.ready(settings())]
    if not ready:
        wanted = " or ".join(vendor.variables for vendor in locks.KNOWN.values())
        raise Unavailable(f"no lock vendor is configured: set {wanted}")
    return ready


def state(session: Session, vendor: str) -> VendorState | None:
    """What is known about a vendor ("tuya", "stays"); None before any traffic."""
    return session.get(VendorState, vendor)


def paused_until(session: Session, vendor: str) -> datetime | None:
    """Until when a spent quota pauses this vendor's orders; None when the caller may go on.

    Once the pause is over one caller goes first, and the rest wait for what comes of it.
    """
    now = clock.utcnow()
    known = session.get(VendorState, vendor, populate_existing=True)
    if known is None or known.paused_until is None:
        return None
    if known.paused_until > now:
        return known.paused_until
    probing = session.execute(
        update(VendorState)
        .where(VendorState.vendor == vendor, VendorState.paused_until <= now)
        .values(paused_until=now + PROBE)
        .execution_options(synchronize_session=False)
    )
    return None if probing.rowcount else now + PROBE  # type: ignore[attr-defined]


def lift_pause(session: Session, vendor: str) -> None:
    """Try again at once: a person asked for it."""
    known = session.get(VendorState, vendor)
    if known is not None:
        known.paused_until = None


def _upsert(session: Session, vendor: str) -> VendorState:
    session.execute(insert(VendorState).values(vendor=vendor).on_conflict_do_nothing())
    return session.get_one(VendorState, vendor, with_for_update=True, populate_existing=True)


def note_listing(vendor: str) -> None:
    """The vendor's list of devices is being asked for, whatever comes of it."""
    with transaction() as session:
        _upsert(session, vendor).devices_read_at = clock.utcnow()


def note_ok(vendor: str, *, clock_offset: float | None = None) -> None:
    """The vendor answered. `clock_offset` is how far its clock is ahead of ours, in seconds."""
    now = clock.utcnow()
    with transaction() as session:
        known = session.get(VendorState, vendor)
        recent = known is not None and known.last_ok_at and now - known.last_ok_at < QUIET
        if recent and known is not None and known.failing_since is None:
            return
        known = _upsert(session, vendor)
        known.last_ok_at = now
        known.failing_since = None
        known.paused_until = None
        alerts.resolve(session, "vendor_quota", vendor)
        if clock_offset is not None:
            known.clock_offset_seconds = clock_offset
            if abs(clock_offset) >= SKEW_SECONDS:
                alerts.raise_alert(
                    session,
                    "clock_skew",
                    vendor,
                    "critical",
                    f"This machine's clock is {abs(clock_offset):.0f} s off",
                    "Set the clock by NTP: locks refuse orders from a machine with a wrong clock.",
                )
            else:
                alerts.resolve(session, "clock_skew", vendor)


def note_error(vendor: str, error: IntegrationError) -> None:
    """The vendor failed. A spent quota pauses its orders and raises the alarm."""
    now = clock.utcnow()
    with transaction() as session:
        known = _upsert(session, vendor)
        known.failing_since = known.failing_since or now
        known.last_error_at = now
        known.last_error = str(error)[:500]
        known.last_error_kind = error.kind
        if isinstance(error, QuotaExhausted):
            known.paused_until = now + QUOTA_PAUSE
            alerts.raise_alert(
                session,
                "vendor_quota",
                vendor,
                "critical",
                "The lock account's plan has expired or its quota is spent",
                "Renew the plan in the vendor's console. No PIN reaches any lock until then.",
            )
        elif error.kind == "clock_skew":
            alerts.raise_alert(
                session,
                "clock_skew",
                vendor,
                "critical",
                "The lock vendor refuses this machine's clock",
                "Set the clock by NTP: locks refuse orders from a machine with a wrong clock.",
            )
