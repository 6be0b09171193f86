"""Alerts, in the background."""

from __future__ import annotations

from app.services import alert_sending, alert_watch


def evaluate() -> None:
    """Look at everything that may go wrong, and plan who is told."""
    alert_watch.evaluate()


def send() -> None:
    """Send the notices that are due."""
    alert_sending.send_due()


def guard() -> None:
    """When no worker lives, look after the processes and tell of it from here."""
    alert_watch.guard()
