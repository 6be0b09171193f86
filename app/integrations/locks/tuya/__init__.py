"""The Tuya cloud as a lock vendor, through tinytuya (contracts/tuya.md)."""

from __future__ import annotations

import threading

from app.config import Settings
from app.integrations.errors import Unauthorized
from app.integrations.locks.tuya.client import TuyaLocks
from app.integrations.locks.tuya.cloud import Limits, TuyaCloud
from app.integrations.locks.tuya.codes import VENDOR

__all__ = ["Limits", "TuyaCloud", "TuyaLocks", "client_from_settings"]

_clients: dict[tuple[str | None, ...], TuyaLocks] = {}
_clients_lock = threading.Lock()


def client_from_settings(settings: Settings) -> TuyaLocks:
    """The one client of this process for the configured project: its token, connection and line
    are shared (contracts/tuya.md §8.4). Nothing is sent; raises Unauthorized when unconfigured."""
    if settings.tuya_access_id is None or settings.tuya_access_secret is None:
        raise Unauthorized("the Tuya project is not configured", vendor=VENDOR)
    key = (
        settings.tuya_api_region,
        settings.tuya_access_id,
        settings.tuya_access_secret,
        settings.tuya_api_url,
    )
    with _clients_lock:
        if key not in _clients:
            _clients[key] = TuyaLocks(
                TuyaCloud(
                    region=settings.tuya_api_region,
                    access_id=settings.tuya_access_id,
                    access_secret=settings.tuya_access_secret,
                    base_url=settings.tuya_api_url,
                )
            )
        return _clients[key]
