"""The numbers, for Prometheus and for a dashboard (MON-01…08)."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, request

from app.api import problems, tokens
from app.errors import Forbidden
from app.runtime import settings
from app.services import metrics

bp = Blueprint("metrics", __name__)
problems.install(bp)


@bp.get("/metrics")
def scrape() -> Response:
    """Everything we publish, in Prometheus' text format; for an admin or the METRICS_TOKEN."""
    if not _has_metrics_token() and not tokens.bearer().is_admin:
        raise Forbidden("this is for admins")
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _has_metrics_token() -> bool:
    wanted = settings().metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if wanted is None or scheme.lower() != "bearer":
        return False
    # As bytes: a header may hold what is not ASCII, which a comparison of texts refuses.
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted.encode())
