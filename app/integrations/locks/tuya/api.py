"""tinytuya's client, pointed at our host and kept off the network until it is asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import tinytuya

from app.config import TUYA_REGIONS
from app.integrations.errors import Unauthorized
from app.integrations.locks.tuya.codes import VENDOR
from app.integrations.locks.tuya.transport import LOOPBACK


class Api(tinytuya.Cloud):  # type: ignore[misc]
    """tinytuya's client on our host, built without touching the network."""

    def __init__(
        self, region: str, access_id: str, access_secret: str, base_url: str | None
    ) -> None:
        self._base_url = base_url
        self.token_reply: Any = None
        # Any token keeps the constructor off the network (§8.1); ours is fetched on first use.
        super().__init__(region, access_id, access_secret, initial_token="-")  # noqa: S106
        self.token: str | None = None

    def setregion(self, apiRegion: str | None = None) -> None:  # noqa: N803 - tinytuya's name
        super().setregion(apiRegion)
        if self._base_url is not None:
            parts = urlsplit(self._base_url)
            self.urlhost = parts.netloc
            if parts.hostname == "localhost":  # tinytuya trips over a host without a dot (§8.5)
                self.urlhost = parts.netloc.replace("localhost", "127.0.0.1")

    def _tuyaplatform(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        reply = super()._tuyaplatform(uri, *args, **kwargs)
        if uri.startswith("token"):
            self.token_reply = reply  # `_gettoken` keeps neither the code nor the lifetime
        return reply


def check(region: str | None, access_id: str, access_secret: str, base_url: str | None) -> None:
    """Refuse what would send the credentials astray: tinytuya reads a file when they are missing
    and takes any unknown region for China (§1.1, §8.1)."""
    fault = None
    parts = urlsplit(base_url or "https://")
    if not access_id or len(access_secret.encode()) != 32:
        fault = "the Tuya access id or its 32-character secret is missing"
    elif base_url is None and region not in TUYA_REGIONS:
        fault = f"the Tuya region must be one of {', '.join(TUYA_REGIONS)}"
    elif base_url is not None and not parts.hostname:
        fault = "the Tuya address has no host"
    elif (parts.scheme == "http" and parts.hostname not in LOOPBACK) or parts.scheme not in (
        "http",
        "https",
    ):
        fault = "the Tuya address must start with https://"
    if fault is not None:
        raise Unauthorized(fault, vendor=VENDOR)
