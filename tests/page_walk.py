"""Every page there is, and where to look at it in the street of tests/street.py.

A route that answers GET with a page and stands in none of these tables fails
tests/test_every_page.py, and so does an entry whose route is gone.
"""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import Rule

#: the addresses of each route that an administrator looks at, with the street's names in them
SIGNED_IN: dict[str, tuple[str, ...]] = {
    "/": ("/?property=all", "/?property={house}&day=2026-03-20"),
    "/accommodations": ("/accommodations?property=all", "/accommodations?q=nothing"),
    "/accommodations/<uuid:accommodation_id>": (
        "/accommodations/{coral}", "/accommodations/{tucano}",
    ),
    "/accommodations/<uuid:accommodation_id>/delete": ("/accommodations/{coral}/delete",),
    "/accommodations/<uuid:accommodation_id>/map": (
        "/accommodations/{coral}/map", "/accommodations/{tucano}/map",
    ),
    "/accommodations/<uuid:accommodation_id>/unmap": ("/accommodations/{coral}/unmap",),
    "/accommodations/import": ("/accommodations/import",),
    "/accommodations/new": ("/accommodations/new",),
    "/accommodations/syncs/<uuid:sync_id>": ("/accommodations/syncs/{sync}",),
    "/alerts": ("/alerts", "/alerts?status=acknowledged", "/alerts?status=resolved"),
    "/alerts/guide": ("/alerts/guide",),
    "/alerts/limits": ("/alerts/limits",),
    "/audit": ("/audit", "/audit?q=nothing"),
    "/audit/<uuid:entry_id>": ("/audit/{entry}",),
    "/availability": ("/availability?property={lisbon}&days=28",),
    "/availability/<uuid:room_type_id>/<day>": ("/availability/{kind}/{day}",),
    "/channels": ("/channels",),
    "/channels/<uuid:channel_property_id>": ("/channels/{channel}", "/channels/{broken}"),
    "/channels/<uuid:channel_property_id>/connect": ("/channels/{channel}/connect",),
    "/channels/<uuid:channel_property_id>/map": ("/channels/{channel}/map?room=620099",),
    "/channels/<uuid:channel_property_id>/mappings/<uuid:mapping_id>/remove": (
        "/channels/{channel}/mappings/{mapping}/remove",
    ),
    "/channels/<uuid:channel_property_id>/secret": ("/channels/{channel}/secret",),
    "/channels/<uuid:channel_property_id>/switch": ("/channels/{channel}/switch",),
    "/channels/<uuid:channel_property_id>/test": ("/channels/{channel}/test",),
    "/channels/new": ("/channels/new",),
    "/discrepancies": (
        "/discrepancies", "/discrepancies?kind=availability", "/discrepancies?q=nothing",
    ),
    "/discrepancies/<uuid:discrepancy_id>/resolve": (
        "/discrepancies/{discrepancy}/resolve?action=accept_pms",
    ),
    "/discrepancies/resolve": ("/discrepancies/resolve?kind=availability",),
    "/events": (
        "/events", "/events?group=none", "/events?status=any&q=FV", "/events?q=nothing",
    ),
    "/events/<uuid:event_id>": (
        "/events/{failed_event}", "/events/{done_event}?form=normal",
    ),
    "/events/<uuid:event_id>/ignore": ("/events/{failed_event}/ignore",),
    "/events/<uuid:event_id>/replay": ("/events/{done_event}/replay",),
    "/events/batches/<uuid:batch_id>": ("/events/batches/{batch}",),
    "/events/ignore": ("/events/ignore?all=true",),
    "/events/replay": ("/events/replay?all=true&status=any",),
    "/events/retry": ("/events/retry?all=true",),
    "/figures": ("/figures?numbers=queues",),
    "/figures/pins": ("/figures/pins",),
    "/holds": ("/holds",),
    "/holds/<uuid:hold_id>/release": ("/holds/{hold}/release",),
    "/locks": ("/locks", "/locks?view=problems"),
    "/locks/<uuid:lock_id>": ("/locks/{lock}",),
    "/locks/<uuid:lock_id>/contents": ("/locks/{lock}/contents",),
    "/locks/<uuid:lock_id>/delete": ("/locks/{lock}/delete",),
    "/locks/<uuid:lock_id>/map": ("/locks/{free}/map",),
    "/locks/<uuid:lock_id>/test": ("/locks/{lock}/test", "/locks/{free}/test"),
    "/locks/new": ("/locks/new",),
    "/maintenance-blocks/<uuid:block_id>/delete": ("/maintenance-blocks/{block}/delete",),
    "/maintenance-blocks/<uuid:block_id>/edit": ("/maintenance-blocks/{block}/edit",),
    "/maintenance-blocks/new": ("/maintenance-blocks/new",),
    "/matches": ("/matches?threshold=0.6",),
    "/matches/<uuid:accommodation_id>": ("/matches/{tucano}?threshold=0.6",),
    "/matches/apply": ("/matches/apply?threshold=0.6",),
    "/more": ("/more",),
    "/rates/new": ("/rates/new?room_type_id={kind}&from={day}",),
    "/reconciliation": ("/reconciliation", "/reconciliation?kind=beds24_bookings"),
    "/reconciliation/reports": ("/reconciliation/reports",),
    "/reconciliation/reports/<uuid:run_id>": ("/reconciliation/reports/{report}",),
    "/reconciliation/runs/<uuid:run_id>": (
        "/reconciliation/runs/{plan}", "/reconciliation/runs/{run}",
    ),
    "/reconciliation/runs/<uuid:run_id>/apply": ("/reconciliation/runs/{plan}/apply",),
    "/reservations": (
        "/reservations?property=all&view=all", "/reservations?q=nobody",
    ),
    "/reservations/<uuid:reservation_id>": tuple(
        f"/reservations/{{{stay}}}" for stay in
        ("ready", "failed", "planned", "no_lock", "in_house", "cancelled", "over", "sold")
    ),
    "/reservations/<uuid:reservation_id>/cancel": ("/reservations/{sold}/cancel",),
    "/reservations/<uuid:reservation_id>/check-in": (
        "/reservations/{ready}/check-in", "/reservations/{dirty_guest}/check-in",
    ),
    "/reservations/<uuid:reservation_id>/check-out": ("/reservations/{leaving}/check-out",),
    "/reservations/<uuid:reservation_id>/edit": ("/reservations/{sold}/edit",),
    "/reservations/<uuid:reservation_id>/no-show": ("/reservations/{ready}/no-show",),
    "/reservations/<uuid:reservation_id>/reprocess": ("/reservations/{ready}/reprocess",),
    "/reservations/<uuid:reservation_id>/revoke-pin": ("/reservations/{ready}/revoke-pin",),
    "/reservations/<uuid:reservation_id>/room": ("/reservations/{sold}/room",),
    "/reservations/new": (
        "/reservations/new?room_type_id={kind}&check_in={day}&check_out=2026-03-14",
    ),
    "/rooms": ("/rooms?property={board}", "/rooms?property={board}&view=calendar"),
    "/rooms/<uuid:room_id>/maintenance": ("/rooms/{r103}/maintenance",),
    "/rooms/<uuid:room_id>/out-of-service": ("/rooms/{r103}/out-of-service",),
    "/rooms/<uuid:room_id>/reopen": ("/rooms/{r104}/reopen",),
    "/settings": ("/settings?property=all",),
    "/settings/me": ("/settings/me",),
    "/settings/me/second-factor": ("/settings/me/second-factor",),
    "/settings/privacy": ("/settings/privacy",),
    "/settings/privacy/guests": ("/settings/privacy/guests",),
    "/settings/properties/<uuid:property_id>": ("/settings/properties/{house}",),
    "/settings/properties/<uuid:property_id>/delete": ("/settings/properties/{house}/delete",),
    "/settings/properties/new": ("/settings/properties/new",),
    "/settings/room-types": ("/settings/room-types",),
    "/settings/room-types/<uuid:room_type_id>": ("/settings/room-types/{kind}",),
    "/settings/room-types/<uuid:room_type_id>/delete": ("/settings/room-types/{kind}/delete",),
    "/settings/room-types/new": ("/settings/room-types/new",),
    "/settings/users": ("/settings/users", "/settings/users?q=nobody"),
    "/settings/users/<uuid:user_id>": ("/settings/users/{staff}", "/settings/users/{invited}"),
    "/settings/users/<uuid:user_id>/deactivate": ("/settings/users/{staff}/deactivate",),
    "/settings/users/<uuid:user_id>/link": ("/settings/users/{staff}/link",),
    "/settings/users/<uuid:user_id>/second-factor": ("/settings/users/{staff}/second-factor",),
    "/settings/users/<uuid:user_id>/withdraw": ("/settings/users/{invited}/withdraw",),
    "/settings/users/new": ("/settings/users/new",),
}  # fmt: skip
#: the same for whoever has not signed in; the second step is looked at in test_users
AT_THE_GATE: dict[str, tuple[str, ...]] = {
    "/login": ("/login",),
    "/login/code": (),
    "/choose-password": ("/invite/{token}", "/reset/nothing"),
}
#: what answers GET, and why there is no page to look at
NO_PAGE: dict[str, str] = {
    "/accommodations/<uuid:accommodation_id>/edit": "the same function as the accommodation's page",
    "/locks/<uuid:lock_id>/edit": "the same function as the lock's page",
    "/settings/properties/<uuid:property_id>/edit": "the same function as the property's page",
    "/settings/room-types/<uuid:room_type_id>/edit": "the same function as the room type's page",
    "/accommodations/sync": "leads to the newest reading",
    "/locks/<uuid:lock_id>/test/pin": "leads to the lock's test",
    "/maintenance-blocks": "leads to the nights",
    "/rates": "leads to the nights",
    "/reservations/<uuid:reservation_id>/pin": "leads to the reservation",
    "/invite/<token>": "leads to the password's page",
    "/reset/<token>": "leads to the password's page",
    "/accommodations/export": "a file",
    "/audit/export": "a file",
    "/reconciliation/reports/<uuid:run_id>/csv": "a file",
}


def page_routes(app: Flask) -> dict[str, Rule]:
    """The pages' routes that answer GET, by their address."""
    return {
        rule.rule: rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and rule.endpoint.split(".")[0] in app.extensions["pages"]
    }
