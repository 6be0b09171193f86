"""The JSON door: bearer tokens only, problems for errors, one module per noun."""

from __future__ import annotations

from flask import Blueprint, Flask

from app.api import (
    accommodations,
    alerts,
    audit,
    bookings,
    channel_mappings,
    channel_properties,
    channel_status,
    csv_files,
    discrepancies,
    documentation,
    events,
    front_desk,
    inventory,
    locks,
    mappings,
    matches,
    metrics,
    probes,
    problems,
    properties,
    reconciliation,
    reservations,
    rooms,
    tokens,
    unknown,
    users,
    webhooks,
)

#: what answers under /api/admin, behind a token
NOUNS = (
    reconciliation.bp,
    reservations.bp,
    front_desk.bp,
    rooms.bp,
    bookings.bp,
    inventory.free,
    inventory.kept,
    inventory.closed,
    inventory.prices,
    properties.bp,
    properties.room_types,
    accommodations.bp,
    locks.bp,
    mappings.bp,
    matches.bp,
    csv_files.bp,
    channel_properties.bp,
    channel_mappings.bp,
    channel_status.bp,
    events.bp,
    discrepancies.bp,
    users.bp,
    alerts.bp,
    audit.bp,
    metrics.summaries,
)


def register(app: Flask) -> None:
    """Add the API and the probes."""
    app.register_blueprint(api)
    app.register_blueprint(designed)
    app.register_blueprint(probes.bp)
    app.register_blueprint(metrics.bp)


admin = Blueprint("admin", __name__)
admin.before_request(tokens.guard)
for noun in NOUNS:
    admin.register_blueprint(noun)

api = Blueprint("api", __name__, url_prefix="/api")
problems.install(api)
api.register_blueprint(tokens.bp)
api.register_blueprint(documentation.bp)
api.register_blueprint(webhooks.bp)
api.register_blueprint(webhooks.beds24)
api.register_blueprint(admin, url_prefix="/admin")
unknown.catch(api)

# The paths as the design documents spell them: same handlers, same guard (INTERFACES §5).
designed = Blueprint("designed", __name__, url_prefix="/admin")
problems.install(designed)
designed.before_request(tokens.guard)
designed.register_blueprint(mappings.bp)
designed.register_blueprint(channel_mappings.bp)
designed.register_blueprint(channel_status.bp)
designed.register_blueprint(events.bp)
unknown.catch(designed)
