"""The keys the product needs to talk to the sandbox, made once per machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

DEFAULT_PORT = 8001


@dataclass(frozen=True, slots=True)
class Keys:
    """What the vendors have handed out. Kept out of `repr`."""

    stays_api_key: str = field(repr=False)
    stays_client_id: str
    stays_client_secret: str = field(repr=False)
    stays_webhook_secret: str = field(repr=False)
    tuya_access_id: str
    tuya_access_secret: str = field(repr=False)  # 32 characters: it is an AES-256 key

    @property
    def beds24_refresh_token(self) -> str:
        return base64.b64encode(self._derived("beds24 refresh") + self._derived("token")).decode()

    @property
    def beds24_webhook_secret(self) -> str:
        return self._derived("beds24 webhook").hex()[:48]

    def _derived(self, name: str) -> bytes:
        """Keys of a vendor that joined later: key files made before it know nothing of them."""
        return hmac.new(self.tuya_access_secret.encode(), name.encode(), hashlib.sha512).digest()

    @staticmethod
    def make() -> Keys:
        return Keys(
            stays_api_key=secrets.token_urlsafe(32),
            stays_client_id=secrets.token_hex(4),
            stays_client_secret=secrets.token_urlsafe(24),
            stays_webhook_secret=secrets.token_urlsafe(32),
            tuya_access_id=secrets.token_hex(10),
            tuya_access_secret=secrets.token_hex(16),
        )


def load_keys(var: Path) -> Keys:
    """The keys of this machine: read from `var/sandbox/keys.json` (0600), made there first.

    Two processes may ask at once (the runner and the sandbox): the file is written whole under
    another name and linked, so one of them wins and nobody reads a part.
    """
    directory = var / "sandbox"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "keys.json"
    if not path.exists():
        temporary = directory / f".keys-{secrets.token_hex(6)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            json.dump(asdict(Keys.make()), handle)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return Keys(**json.loads(path.read_text()))


def port_from(environment: dict[str, str] | os._Environ[str]) -> int:
    return int(environment.get("SANDBOX_PORT") or DEFAULT_PORT)


def credentials(
    var: Path, *, port: int | None = None, dialect: str | None = None
) -> dict[str, str]:
    """The environment that points the product at the sandbox, for every vendor it imitates.

    `port` defaults to SANDBOX_PORT, `dialect` to STAYS_DIALECT. The runner uses the values of
    vendors that have no variable of their own.
    """
    keys = load_keys(var)
    base = f"http://127.0.0.1:{port or port_from(os.environ)}"
    dialect = (dialect or os.environ.get("STAYS_DIALECT") or "simple").strip().lower()
    if dialect == "external":
        stays = {
            "STAYS_DIALECT": "external",
            "STAYS_API_URL": f"{base}/stays/external/v1",
            "STAYS_CLIENT_ID": keys.stays_client_id,
            "STAYS_CLIENT_SECRET": keys.stays_client_secret,
        }
    else:
        stays = {
            "STAYS_DIALECT": "simple",
            "STAYS_API_URL": f"{base}/stays",
            "STAYS_API_KEY": keys.stays_api_key,
        }
    return stays | {
        "STAYS_WEBHOOK_SECRET": keys.stays_webhook_secret,
        "BEDS24_API_URL": f"{base}/beds24",
        "BEDS24_REFRESH_TOKEN": keys.beds24_refresh_token,
        "BEDS24_WEBHOOK_SECRET": keys.beds24_webhook_secret,
        "TUYA_API_URL": f"{base}/tuya",
        "TUYA_API_REGION": "us",
        "TUYA_ACCESS_ID": keys.tuya_access_id,
        "TUYA_ACCESS_SECRET": keys.tuya_access_secret,
    }
