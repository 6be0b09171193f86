"""Why one booking or value could not be taken in or compared, in the language of the page."""

from __future__ import annotations

from app.web.stored_sentences import N_, Sentences

#: the longer of two that begin alike comes first: "is not mapped" ends several
SENTENCES = (
    # app.services.channel_places, app.domain.channel_rooms
    N_("there is no property yet: create one, and the next run takes this reservation in"),
    N_("the property is not connected to the channel any more"),
    N_("unit %(unit)s of room %(room)s of property %(house)s is not mapped"),
    N_("room %(room)s of property %(house)s is not mapped to a room type"),
    N_("room %(room)s of property %(house)s is not mapped"),
    N_("unit %(unit)s is not mapped"),
    N_("%(room)s: the room it blocks has no room type yet"),
    # app.services.reservation_differences, reservations, reservation_copies, booking_comparison
    N_("it repeats our own booking, which the channel has as %(id)s"),
    N_("it could not be stored (%(error)s)"),
    N_("it could not be carried out (%(error)s)"),
    N_("check_out %(last)s is not after check_in %(first)s"),
    # app.services.calendar_readings
    N_("room %(room)s: %(value)s from %(first)s to %(last)s cannot be read"),
    # app.services.deep_stays, booking_reading
    N_("status: expected one of Stays', not %(word)s"),
    N_("status: expected one of Beds24's, not %(word)s"),
    # app.integrations.channels
    N_("%(field)s: expected an id"),
)
_SAID = Sentences(SENTENCES)


def item_reason(text: str | None) -> str:
    """The sentence as the page says it; its own words when new to us."""
    return _SAID.said(text or "")
