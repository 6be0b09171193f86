"""The set-up of a property, step by step, with what is missing in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.models import Property
from app.services import accommodation_pages, onboarding
from app.services.onboarding import Step, StepName
from app.web import navigation
from app.web.dates import gettext as _

NAMES = {
    StepName.CONNECT: _l("Connect"),
    StepName.SYNC: _l("Read rooms"),
    StepName.LOCKS: _l("Read locks"),
    StepName.MATCH: _l("Match"),
    StepName.TEST: _l("Test one lock"),
    StepName.DONE: _l("Done"),
}
MISSING = {
    "channel": _l("No channel brings stays to this property. Connect one first."),
    "channel_answer": _l("Stays does not answer. Check its key in the configuration."),
    "lock_vendor": _l("No lock account is set up. Add the Tuya project to the configuration."),
    "lock_vendor_answer": _l("The lock account does not answer. Check its id and secret."),
    "sync_failed": _l("The last reading of the rooms failed."),
    "accommodations": _l("This property has no rooms yet. Read them, or take in a file."),
    "locks": _l("No lock is known yet. Read them from the account."),
    "lock_test": _l("No lock of a room has been seen to open. Test one at its door."),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One step as the page shows it; `cls` is is-done, is-now or is-next."""

    name: str
    title: str
    cls: str


@dataclass(frozen=True, slots=True)
class SetUp:
    """The steps of one property, the present one, and what it needs."""

    house: Property
    steps: list[Shown]
    current: str
    missing: list[str]


def set_up() -> SetUp | None:
    """Of the property that is looked at, else of the one with most left to do; None when it is
    done, or when there is no property."""
    chosen = navigation.property_id() or accommodation_pages.least_ready()
    if chosen is None:
        return None
    found = onboarding.steps(chosen)
    current = found.current
    if current is None:
        return None
    shown = [
        Shown(
            str(step.name),
            str(NAMES[step.name]),
            "is-now" if step is current else "is-done" if step.done else "is-next",
        )
        for step in found.steps
        if step.name is not StepName.DONE
    ]
    return SetUp(
        found.house, shown, str(current.name), [_words(current, w) for w in current.missing]
    )


def context() -> dict[str, Any]:
    """For the pages that lead through the set-up."""
    return {"set_up": set_up()}


def _words(step: Step, word: str) -> str:
    if word == "mappings":
        if not step.count:
            return _("There is no room yet that could have a lock.")
        return str(
            ngettext(
                "%(num)d room has no lock: its guests get no PIN.",
                "%(num)d rooms have no lock: their guests get no PIN.",
                step.count,
            )
        )
    return str(MISSING.get(word, word))
