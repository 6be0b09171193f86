"""The description of every view of the JSON door, by its endpoint behind `api.` or `api.admin.`."""

from __future__ import annotations

from app.api import answers as a
from app.api import answers_channels as c
from app.api import answers_stays as s
from app.api import answers_system as w
from app.api import (
    front_desk,
    locks,
    mappings,
    matches,
    tokens,
)
from app.api.descriptions_channels import CHANNELS, MOMENTS
from app.api.operations import (
    ANY,
    CSV,
    Operation,
    choice,
    choices,
    day,
    flag,
    gone,
    key,
    number,
    one,
    order_by,
    page,
    sent,
    whole,
    word,
)
from app.domain.room_status import Housekeeping, RoomStatus
from app.domain.states import ReservationStatus
from app.models.alerts import ALERT_KINDS
from app.models.holds import HOLD_STATUSES
from app.models.users import ROLES
from app.services import (
    accommodation_sync,
    alert_lists,
    audit_lists,
    hold_desk,
    mapping_log,
    matching,
    reservation_lists,
    user_lists,
)
from app.services.accommodations import AccommodationChanges, NewAccommodation
from app.services.booking_inputs import BookingChanges, NewBooking
from app.services.hold_desk import Extension
from app.services.locks import LockChanges, NewLock
from app.services.maintenance_blocks import BlockChanges, NewBlock
from app.services.properties import NewProperty, NewRoomType, PropertyChanges, RoomTypeChanges
from app.services.rates import NewRate, RateChanges
from app.services.rooms import RoomChanges
from app.services.user_changes import UserChanges
from app.services.user_links import Invitation

PERIOD = (day("from"), day("to"))
Q = word("q")
CSV_FILE = Operation(None, media=CSV, words="The whole list as a file, to take in again.")
CSV_IMPORT = Operation(a.Imported, takes=CSV, query=(flag("dry_run"),))

CONFIGURED: dict[str, Operation] = {
    "properties.index": page(
        "properties", a.Property, Q, *order_by("created_at", "name"), words="A page of properties."
    ),
    "properties.create": sent(NewProperty, a.Property, 201, "Add a property."),
    "properties.show": one(a.Property, "One property."),
    "properties.change": sent(PropertyChanges, a.Property),
    "properties.preview": sent(PropertyChanges, a.Consequences),
    "properties.show_onboarding": one(a.Onboarding),
    "properties.delete": gone("Remove a property that nothing belongs to."),
    "room_types.room_type_index": page(
        "room_types",
        a.RoomType,
        Q,
        key("property_id"),
        *order_by("created_at", "name"),
        words="A page of room types.",
    ),
    "room_types.create_room_type": sent(NewRoomType, a.RoomType, 201, "Add a room type."),
    "room_types.show_room_type": one(a.RoomType, "One room type."),
    "room_types.change_room_type": sent(RoomTypeChanges, a.RoomType, words="Change a room type."),
    "room_types.delete_room_type": gone("Remove a room type that nothing belongs to."),
    "accommodations.index": page(
        "accommodations",
        a.Accommodation,
        Q,
        key("property_id"),
        key("room_type_id"),
        flag("is_active"),
        *order_by("created_at", "name", "number"),
        words="A page of accommodations.",
    ),
    "accommodations.overview": one(a.Overview),
    "accommodations.create": sent(NewAccommodation, a.Accommodation, 201, "Add an accommodation."),
    "accommodations.sync": Operation(
        a.AccommodationSync, 202, query=(choice("channel", accommodation_sync.CHANNELS),)
    ),
    "accommodations.syncs": page(
        "syncs",
        a.AccommodationSync,
        Q,
        *order_by("created_at"),
        words="A page of readings of a channel's units.",
    ),
    "accommodations.show_sync": one(a.AccommodationSync),
    "accommodations.show": one(a.Accommodation, "One accommodation."),
    "accommodations.change": sent(AccommodationChanges, a.Accommodation),
    "accommodations.delete": gone("Remove an accommodation that nothing belongs to."),
    "locks.index": page(
        "locks",
        a.Lock,
        Q,
        flag("mapped"),
        *order_by("created_at", "name", "last_seen_at"),
        words="A page of locks.",
    ),
    "locks.create": sent(NewLock, a.Lock, 201, "Register a lock."),
    "locks.refresh": one(a.LockRefresh),
    "locks.show": one(a.Lock, "One lock."),
    "locks.change": sent(LockChanges, a.Lock, words="Change a lock."),
    "locks.delete": gone("Remove a lock that no accommodation has."),
    "locks.contents": one(a.LockContents),
    "locks.tests": one(a.LockTests),
    "locks.start_test": Operation(a.LockTest, 201),
    "locks.show_test": one(a.LockTest, "One test of a lock."),
    "locks.typed": sent(locks.Typed, a.LockTest, words="Say whether the door opened."),
    "locks.stop_test": one(a.LockTest, "End a test before its hour is over."),
    "mappings.index": page(
        "mappings",
        a.Mapping,
        Q,
        *order_by("created_at", "updated_at"),
        words="A page of the pairs of lock and accommodation.",
    ),
    "mappings.create": sent(
        mappings.NewMapping, a.Mapping, 201, others={200: a.Mapping, 404: a.Problem}
    ),
    "mappings.delete": Operation(
        status=204, query=(flag("confirm"),), words="Part a lock from its accommodation."
    ),
    "mappings.log": page(
        "log",
        a.MappingAttempt,
        key("accommodation_id"),
        key("lock_id"),
        key("user_id"),
        choice("action", mapping_log.ACTIONS),
        choice("result", mapping_log.RESULTS),
    ),
    "matches.index": Operation(
        a.Suggestions,
        query=(number("threshold", 0, 1), whole("maxSuggestions", 1, matching.MOST_OF_ALL)),
    ),
    "matches.show": Operation(
        a.Suggestions,
        others={409: a.Problem},
        query=(number("threshold", 0, 1), whole("maxSuggestions", 1, matching.MOST_OF_ALL)),
    ),
    "matches.apply": sent(matches.AgreedPairs, a.AppliedPairs),
    "csv_files.accommodations": CSV_FILE,
    "csv_files.mappings": CSV_FILE,
    "csv_files.import_accommodations": CSV_IMPORT,
    "csv_files.import_mappings": CSV_IMPORT,
    "users.index": page(
        "users",
        w.User,
        Q,
        choice("role", ROLES),
        flag("is_active"),
        *order_by(*user_lists.SORTS),
    ),
    "users.invite": sent(Invitation, w.InvitedUser, 201),
    "users.show": one(w.User),
    "users.change": sent(UserChanges, w.User),
    "audit.index": page(
        "audit",
        w.AuditEntry,
        Q,
        word("actor"),
        word("action"),
        word("entity"),
        word("entity_id"),
        *MOMENTS,
        *order_by(*audit_lists.SORTS),
    ),
    "audit.show": one(w.AuditEntry, "One entry."),
    "alerts.index": page(
        "alerts",
        w.Alert,
        Q,
        choices("status", alert_lists.STATUSES),
        choices("kind", ALERT_KINDS),
        choices("severity", alert_lists.SEVERITIES),
        *order_by(*alert_lists.SORTS),
    ),
    "alerts.show": one(w.Alert, "One alert."),
    "alerts.acknowledge": one(w.Alert),
    "alerts.test": one(w.AlertTrials),
}

STAYS: dict[str, Operation] = {
    "reservations.index": page(
        "reservations",
        s.Reservation,
        Q,
        choices("status", tuple(ReservationStatus)),
        choice("source", reservation_lists.SOURCES),
        key("property_id"),
        key("accommodation_id"),
        *PERIOD,
        choice("view", reservation_lists.VIEWS),
        choice("sort", [way + name for name in reservation_lists.SORTS for way in ("", "-")]),
        choice("order", reservation_lists.ORDERS),
    ),
    "reservations.show": one(s.Reservation),
    "reservations.reprocess": Operation(s.Job, 202),
    "reservations.revoke_pin": Operation(s.Job, 202),
    "bookings.create": sent(NewBooking, s.Booked, 201, headers=("Idempotency-Key",)),
    "bookings.change": sent(BookingChanges, s.Reservation, others={409: s.StaleReservation}),
    "bookings.cancel": one(s.Reservation),
    "bookings.no_show": one(s.Reservation),
    "front_desk.check_in": sent(front_desk.Arrival, s.Reservation, body_needed=False),
    "front_desk.check_out": one(s.Reservation),
    "rooms.index": page(
        "rooms",
        s.Room,
        Q,
        key("property_id"),
        key("room_type_id"),
        choices("status", tuple(RoomStatus)),
        choices("housekeeping", tuple(Housekeeping)),
    ),
    "rooms.show": one(s.RoomWithChanges),
    "rooms.change": sent(RoomChanges, s.Room),
    "rooms.sync": one(s.Repairs),
    "availability.nights": Operation(
        s.Nights,
        others={404: a.Problem},
        query=(
            key("room_type_id", required=True),
            day("from", required=True),
            day("to", required=True),
        ),
    ),
    "holds.holds": page(
        "holds",
        s.HoldInList,
        Q,
        choices("status", HOLD_STATUSES),
        key("property_id"),
        key("room_type_id"),
        key("reservation_id"),
        *PERIOD,
        *order_by(*hold_desk.SORTS),
    ),
    "holds.hold": one(s.HoldInList, "One hold."),
    "holds.release": one(s.HoldInList),
    "holds.extend": sent(Extension, s.HoldInList),
    "maintenance_blocks.blocks": page(
        "maintenance_blocks",
        s.MaintenanceBlock,
        key("property_id"),
        key("room_type_id"),
        key("accommodation_id"),
        *PERIOD,
        *order_by("created_at", "start_date", "end_date"),
        words="A page of units that are off sale.",
    ),
    "maintenance_blocks.create_block": sent(NewBlock, s.PlacedBlock, 201),
    "maintenance_blocks.block": one(s.MaintenanceBlock, "One block."),
    "maintenance_blocks.change_block": sent(BlockChanges, s.PlacedBlock, words="Change a block."),
    "maintenance_blocks.delete_block": gone("Sell the units again."),
    "rates.rate_index": page(
        "rates",
        s.Rate,
        key("property_id"),
        key("room_type_id"),
        *PERIOD,
        *order_by("created_at", "date", "price"),
        words="A page of prices.",
    ),
    "rates.put_rates": sent(NewRate, s.Rate | s.Rates, 201),
    "rates.rate": one(s.Rate, "One price."),
    "rates.change_rate": sent(RateChanges, s.Rate, words="Change a price."),
    "rates.delete_rate": gone("Remove a price."),
}

OPEN: dict[str, Operation] = {
    "tokens.create": sent(tokens.Credentials, a.Token),
    "webhooks.stays_signed": Operation(
        c.Received, headers=("X-Webhook-Signature",), takes=ANY, others={404: a.Problem}
    ),
    "webhooks.stays_token": Operation(c.Received, takes=ANY, others={404: a.Problem}),
    "beds24.beds24_webhook": Operation(
        c.Received,
        headers=("X-Beds24-Signature", "X-Webhook-Token"),
        takes=ANY,
        others={404: a.Problem},
    ),
    "probes.live": one(w.Alive),
    "probes.ready": Operation(w.Ready, others={503: w.Ready}),
    "probes.channel_sync": Operation(w.ChannelSync, others={503: w.ChannelSync}),
    "metrics.scrape": Operation(None, media="text/plain"),
    "documentation.document": Operation(a.Json),
    "documentation.page": Operation(None, media="text/html"),
}

OPERATIONS: dict[str, Operation] = CONFIGURED | STAYS | CHANNELS | OPEN
