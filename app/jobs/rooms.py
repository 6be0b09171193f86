"""Rooms, in the background."""

from __future__ import annotations

from app.services import room_status


def sync() -> None:
    """Compare every room with its bookings, and repair what differs (ROOM-11)."""
    room_status.sync()
