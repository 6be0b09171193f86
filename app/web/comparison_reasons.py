"""Why a comparison does or leaves something, in the language of the page.

The comparisons say it in English sentences of their own, which rows and the API keep; the ones
known here are said again in words that can be translated.
"""

from __future__ import annotations

import re
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.services import booking_blocks, calendar_motion
from app.web.dates import gettext as _

REASONS: dict[str, Any] = {
    # app.domain.comparison
    "Beds24 has this booking and we do not": _l("Beds24 has this booking and we do not"),
    "Beds24 has a booking of ours under this number": _l(
        "Beds24 has a booking of ours under this number"
    ),
    "It is cancelled here and active in Beds24": _l("It is cancelled here and active in Beds24"),
    "We have this booking and Beds24 does not": _l("We have this booking and Beds24 does not"),
    "A guest has stayed, and Beds24 has no such booking": _l(
        "A guest has stayed, and Beds24 has no such booking"
    ),
    "It is cancelled in Beds24": _l("It is cancelled in Beds24"),
    "It is cancelled in Beds24, and the guest is in the house": _l(
        "It is cancelled in Beds24, and the guest is in the house"
    ),
    "It is cancelled in Beds24, and the guest has stayed": _l(
        "It is cancelled in Beds24, and the guest has stayed"
    ),
    "It is a stay here and a block in Beds24": _l("It is a stay here and a block in Beds24"),
    "It is a stay here and only a question in Beds24": _l(
        "It is a stay here and only a question in Beds24"
    ),
    "Beds24 has accepted the request": _l("Beds24 has accepted the request"),
    "It is confirmed here and only a request in Beds24": _l(
        "It is confirmed here and only a request in Beds24"
    ),
    "The days of the stay differ": _l("The days of the stay differ"),
    "The room differs": _l("The room differs"),
    "The number of rooms differs": _l("The number of rooms differs"),
    "The currencies differ, so the prices are not compared": _l(
        "The currencies differ, so the prices are not compared"
    ),
    "Beds24 has a price and we have none": _l("Beds24 has a price and we have none"),
    "The price differs by 5 % or less": _l("The price is off by no more than 5%"),
    "The price differs by more than 5 %": _l("The price is off by more than 5%"),
    "We do not have the guest's name": _l("We do not have the guest’s name"),
    "The guest's name differs": _l("The guest’s name differs"),
    # app.services.booking_blocks
    "The blocked nights differ": _l("The blocked nights differ"),
    booking_blocks.NO_MORE: _l("We have these nights blocked and Beds24 does not"),
    # app.domain.calendar_comparison, app.services.rate_comparison
    "Whether the channel has bookings that we do not count could not be checked": _l(
        "Whether Beds24 has bookings that we do not count could not be checked"
    ),
    "The channel has a booking of this night that we do not count": _l(
        "Beds24 has a booking of this night that we do not count"
    ),
    "The channel has a price for it and we have none": _l("Beds24 has a price and we have none"),
    "Our price is zero and the channel has none": _l("Our price is zero and Beds24 has none"),
    "Our price is zero and the channel's is not": _l("Our price is zero and Beds24’s is not"),
    "The prices differ by more than 5 %": _l("The price is off by more than 5%"),
    "The channel sells this property in another currency: no price can be compared": _l(
        "Beds24 sells this property in another currency: no price can be compared"
    ),
    # app.services.calendar_motion
    calendar_motion.BOOKING: _l("a booking is on its way"),
    calendar_motion.TELLING: _l("its nights are being told"),
    calendar_motion.HELD: _l("a booking waits for Beds24’s answer"),
}
SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = (
    (
        re.compile(r"The channel has sold (\d+) more than it has, and we have not"),
        lambda n: ngettext(
            "Beds24 has sold %(num)d more than it has, and we have not",
            "Beds24 has sold %(num)d more than it has, and we have not",
            n,
        ),
    ),
    (
        re.compile(r"The channel sells (\d+) fewer than are free here: possible overbooking"),
        lambda n: ngettext(
            "Beds24 sells %(num)d fewer than is free here: possible overbooking",
            "Beds24 sells %(num)d fewer than are free here: possible overbooking",
            n,
        ),
    ),
    (
        re.compile(r"The channel sells (\d+) more than are free here: possible overbooking"),
        lambda n: ngettext(
            "Beds24 sells %(num)d more than is free here: possible overbooking",
            "Beds24 sells %(num)d more than are free here: possible overbooking",
            n,
        ),
    ),
    (
        re.compile(r"The channel has (\d+) bookings of this night that we do not count"),
        lambda n: ngettext(
            "Beds24 has %(num)d booking of this night that we do not count",
            "Beds24 has %(num)d bookings of this night that we do not count",
            n,
        ),
    ),
    (re.compile(r"Overbooked by (\d+)"), lambda n: _("Overbooked by %(n)s", n=n)),
    (
        re.compile(r"The channel was told ours (\d+) times and differs again"),
        lambda n: ngettext(
            "Beds24 was told ours %(num)d time and differs again",
            "Beds24 was told ours %(num)d times and differs again",
            n,
        ),
    ),
)


def reason(sentence: str | None) -> str:
    """The sentence as the page says it; its own words when new to us."""
    said = sentence or ""
    if said in REASONS:
        return str(REASONS[said])
    for shape, words in SHAPES:
        if (found := shape.fullmatch(said)) is not None:
            return str(words(int(found[1])))
    return said
