"""The strip above the accommodations: the reading under way, or what came of the last one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app import clock
from app.domain.states import RunStatus
from app.models import AccommodationSync
from app.web import navigation
from app.web.dates import gettext as _

#: how long the outcome of a reading stands above the list
RECENT = timedelta(minutes=30)


def strip(latest: AccommodationSync | None) -> dict[str, Any]:
    """What the strip above the list shows: the reading under way, or the last one for a while."""
    ended = latest.completed_at if latest is not None else None
    shown = latest is not None and (ended is None or ended > clock.utcnow() - RECENT)
    return {
        "sync": latest,
        "show_sync": shown,
        "sync_failure": _why(latest),
        "reading": latest is not None and latest.status == RunStatus.PENDING,
        "zone": navigation.timezone(),
    }


def _why(latest: AccommodationSync | None) -> str:
    """Why the last reading came to nothing, in a sentence."""
    if latest is None or latest.status != RunStatus.FAILED:
        return ""
    if latest.error_kind == "empty_answer":
        return _("Stays lists no room at all, which is not believed. Nothing was changed.")
    if latest.error_kind in ("unauthorized", "not_configured"):
        return _("Stays refuses us: check its key in the configuration of the server.")
    return _("Stays did not answer as it should. Nothing was changed. Try again in a minute.")
