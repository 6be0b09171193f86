"""What the running app carries: settings and the vaults, from wherever a service is called."""

from __future__ import annotations

from typing import cast

from flask import current_app

from app.config import Settings
from app.crypto import PinVault, SecretVault


def settings() -> Settings:
    """The settings of the running app."""
    return cast(Settings, current_app.extensions["settings"])


def pin_vault() -> PinVault:
    """Seals and opens PINs with the configured keys."""
    return cast(PinVault, current_app.extensions["pin_vault"])


def secret_vault() -> SecretVault:
    """Seals and opens vendors' tokens and webhook secrets with the same keys."""
    return cast(SecretVault, current_app.extensions["secret_vault"])
