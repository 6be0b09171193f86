"""Letters about accounts, in the background."""

from __future__ import annotations

from app.services import account_letters


def send() -> None:
    """Send the letters that are due."""
    account_letters.send_due()
