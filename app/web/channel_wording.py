"""Channels in words: how a connection is doing and why, and what its ids look like (UI.md §5)."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.services.channel_pages import Card, Entry
from app.services.channel_room_lists import RoomThere
from app.web import dates
from app.web.dates import gettext as _
from app.web.event_wording import channel

__all__ = ["channel"]

#: what can be mapped, in the order of the page: a booking needs its room type first
KINDS = {"room_type": _l("Room types"), "room": _l("Rooms"), "rate": _l("Rates")}
#: where each kind stands on its page, by its own name and by that of its completeness
ANCHORS = {
    "room_type": "room-types",
    "room_types": "room-types",
    "room": "rooms",
    "rooms": "rooms",
    "rate": "rates",
    "rates": "rates",
    "property": "rooms",
}
#: what each kind of run compares
RUNS = {
    "stays": _l("Bookings"),
    "beds24_bookings": _l("Bookings"),
    "beds24_availability": _l("Free units"),
    "beds24_rates": _l("Prices"),
}
THING = {
    "room_type": _l("Room type"),
    "room": _l("Room"),
    "rate": _l("Room type"),
    "property": _l("Property"),
}
#: the types as a list to choose from
TYPES = {
    "room": _l("Room"),
    "room_type": _l("Room type"),
    "rate": _l("Rate"),
    "property": _l("Property"),
}
IDS = {
    "room_type": _l("Beds24 room"),
    "room": _l("Beds24 room and unit"),
    "rate": _l("Beds24 room and price"),
    "property": _l("Beds24 property"),
}
EXAMPLES = {"room_type": "610011", "room": "610011:2", "rate": "610011:1", "property": "51001"}
HINTS = {
    "room_type": _l("The number of the room in Beds24, such as 610011."),
    "room": _l("The room and its unit, such as 610011:2. 610011 alone is unit 1."),
    "rate": _l("The room and its price from 1 to 16, such as 610011:1."),
    "property": _l("The number of the property in Beds24, such as 51001."),
}
EXPLAIN = {
    "room_type": _l(
        "Beds24 calls “room” what is sold, in one or more units. Mapped to a room type, its "
        "bookings land; each gets its room once Beds24 names the unit or a person chooses it."
    ),
    "room": _l("One unit of a Beds24 room is one room here: its bookings get that door."),
    "rate": _l("Where the prices of a room type are sent."),
    "property": _l("The property itself."),
}
_NEW_CODE = _l("Connect it again with a new invite code.")
_MORE_SCOPE = _l(
    "Part of what we ask is refused. Make an invite code with read and write for bookings, "
    "personal data, inventory and properties, not bound to an address, and connect again."
)


def completeness(channel_name: str) -> list[tuple[str, Any]]:
    """What is counted for a channel: the name of its ratio, and its label."""
    rooms: list[tuple[str, Any]] = [("rooms", KINDS["room"])]
    if channel_name != "beds24":
        return rooms
    return [("room_types", KINDS["room_type"]), *rooms, ("rates", KINDS["rate"])]


def thing(entry: Entry) -> str:
    """203 Coral; a room type by its name."""
    if entry.number and entry.number not in entry.name:
        return f"{entry.number} {entry.name}"
    return entry.name


def fact(card: Card) -> str:
    """The state of a connection as a plain sentence."""
    name = channel(card.connection.channel_name)
    if card.state == "unreachable":
        if card.connection.status == "error":
            return _("%(channel)s refuses our access", channel=name)
        return _("%(channel)s cannot be reached", channel=name)
    if card.state == "quiet":
        return _("%(channel)s has been quiet for too long", channel=name)
    if card.state == "partly":
        return _("%(channel)s works in part", channel=name)
    if card.state == "inactive":
        return _("%(channel)s is switched off for this property", channel=name)
    return _("%(channel)s works", channel=name)


def reason(card: Card) -> str:
    """Why it stands as it does, and what helps."""
    name = channel(card.connection.channel_name)
    if card.state == "inactive":
        return _("Its webhooks are refused and nothing is sent there.")
    if card.state == "unreachable":
        return _unreachable(card)
    if card.state == "quiet":
        return _quiet(card, name)
    if card.state == "partly":
        return " ".join(_partly(card))
    return _("Everything is mapped and nothing has failed.")


def _unreachable(card: Card) -> str:
    if card.connection.status == "error":
        said = card.connection.status_reason or ""
        return str(_MORE_SCOPE if "scope" in said else _NEW_CODE)
    assert card.failing_since is not None
    since = dates.moment(card.failing_since, card.house.timezone)
    return _("No answer since %(time)s. We keep trying; nothing that was sent is lost.", time=since)


def _quiet(card: Card, name: str) -> str:
    if card.heard_at is None:
        return _("Nothing has come from %(channel)s yet. Check its webhook.", channel=name)
    since = dates.moment(card.heard_at, card.house.timezone)
    return _(
        "Nothing has come from %(channel)s since %(time)s. Check its webhook.",
        channel=name,
        time=since,
    )


def _partly(card: Card) -> list[str]:
    found = []
    if card.heard_at is None:
        name = channel(card.connection.channel_name)
        found.append(_("Nothing has come from %(channel)s yet.", channel=name))
    if n := card.depths.dlq:
        found.append(
            ngettext(
                "%(num)d failed event waits for a decision.",
                "%(num)d failed events wait for a decision.",
                n,
            )
        )
    if n := card.unmapped_rooms:
        found.append(
            ngettext(
                "%(num)d room is not mapped: its bookings get no room.",
                "%(num)d rooms are not mapped: their bookings get no room.",
                n,
            )
        )
    return [str(each) for each in found]


def not_read(kind: str) -> str:
    """Why Beds24's rooms could not be read, and what helps."""
    if kind == "unauthorized":
        return _("Beds24 refuses our access. Connect it again with a new invite code.")
    if kind in ("rate_limited", "quota"):
        return _("Beds24 asks us to slow down. Try again in five minutes.")
    return _("Beds24 did not answer. Nothing was changed; try again in a while.")


def listed(rooms: list[RoomThere]) -> dict[str, str]:
    """Beds24's names by id, of units and of the rooms they belong to."""
    names = {each.room: each.kind for each in rooms if each.kind}
    return names | {each.ref: each.name for each in rooms}


def choices(rooms: list[RoomThere], kind: str) -> list[tuple[str, str]]:
    """What Beds24 has of a kind, as the options of a list; empty when its rooms were not read."""
    if kind == "property":
        return []
    if kind == "room":
        return [(each.ref, f"{each.name} ({each.ref})") for each in rooms]
    kinds = {each.room: each for each in rooms}
    if kind == "rate":
        return [(ref, f"{each.kind or ref} ({ref})") for ref, each in kinds.items()]
    return [
        (
            ref,
            str(
                ngettext(
                    "%(name)s (%(ref)s, %(num)d unit)",
                    "%(name)s (%(ref)s, %(num)d units)",
                    each.units,
                    name=each.kind or ref,
                    ref=ref,
                )
            ),
        )
        for ref, each in kinds.items()
    ]
