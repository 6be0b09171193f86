"""Forms for the services' inputs: what was typed is kept, what is wrong stands at its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from flask import Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, Invalid, ServiceError
from app.services import user_changes
from app.services.inputs import Input
from app.web import booking_words
from app.web.rendering import empty, is_htmx, render

WHOLE = re.compile(r"-?\d{1,9}")
#: the services' complaints as a person in front of a form reads them
WORDS: dict[str, Any] = {
    "is required": _l("Fill this in"),
    "must not be empty": _l("Fill this in"),
    "must be text": _l("Write this as text"),
    "somebody has this address already": _l("Somebody has this address already"),
    "must not be made of the e-mail address": _l("Choose one without your e-mail address in it"),
    "is one of those that are guessed first": _l(
        "This is one of those that are guessed first. Choose another."
    ),
    "is not right": _l("This is not right"),
    "is not right, or was used already": _l("This is not right, or was used already"),
    "the password has been changed meanwhile": _l("The password has been changed meanwhile"),
    "there is nothing to confirm": _l("Begin again: there is nothing to confirm"),
    "the second factor is off": _l("The second factor is off already"),
    "there is no second factor": _l("There is no second factor any more"),
    user_changes.OWN: _l("You cannot deactivate yourself. Another administrator can."),
    user_changes.LAST: _l(
        "Nobody else could administrate then. Make somebody else an administrator first."
    ),
    "this person may not sign in: reactivate first": _l("Reactivate this person first"),
    "the invitation has been accepted: deactivate the person instead": _l(
        "The invitation has been accepted. Deactivate the person instead."
    ),
    "must be a whole number": _l("Write a whole number"),
    "must be an id (UUID)": _l("Choose one of the list"),
    "must be a time of day written HH:MM": _l("Write a time from 00:00 to 23:59"),
    "must be an IANA time zone such as America/Sao_Paulo": _l("Choose a time zone of the list"),
    "must be an ISO 4217 code of three letters such as BRL": _l("Write three letters, such as BRL"),
    "no such property": _l("This property does not exist any more"),
    "no such room type": _l("This room type does not exist any more"),
    "no such lock": _l("This lock does not exist any more"),
    "no such accommodation": _l("This accommodation does not exist any more"),
    "belongs to another property": _l("This room type belongs to another property"),
    "needs beds24_room_id as well": _l("Fill in the Beds24 room as well"),
    "must be e-mail addresses, separated by commas": _l(
        "Write e-mail addresses, separated by commas"
    ),
    "this device is registered already": _l("This device is registered already"),
    "another accommodation has this id": _l("Another accommodation has this id"),
    "another accommodation has this unit": _l("Another accommodation has this unit"),
    "this property has a room type of that name": _l("This property has a room type of that name"),
    "this property is connected to this channel already": _l(
        "This property is connected to Beds24 already"
    ),
    "another property of ours is connected to it already": _l(
        "Another property is connected to it already"
    ),
    "must be Beds24's property id, a number": _l("Write Beds24’s number of the property"),
    "must be Beds24's property id, a number like 51001": _l(
        "Write Beds24’s number of the property"
    ),
    "must be Beds24's room id, a number like 610011": _l("Write a number such as 610011"),
    "must be Beds24's unit, a number from 1": _l("Write a number such as 1"),
    "must be Beds24's room and unit, written like 610011:2 (610011 alone is its unit 1)": _l(
        "Write room and unit, such as 610011:2"
    ),
    "must be Beds24's room and price, written like 610011:2, the price from 1 to 16": _l(
        "Write room and price, such as 610011:2, the price from 1 to 16"
    ),
    "belongs to another property than the one connected": _l("This belongs to another property"),
    "it was changed in the meantime; read it again": _l("Somebody changed this meanwhile"),
    "Beds24 refused the invite code: it works once, and for 24 hours": _l(
        "Beds24 refuses this code: it works once, and for 24 hours. Make a new one."
    ),
    "must be letters, digits and signs without spaces, as Beds24 shows it": _l(
        "Copy it as Beds24 shows it, without spaces"
    ),
    "give this or an invite code, not both": _l("Give this or an invite code, not both"),
    "Beds24 cannot be reached; the invite code is not used up, try again in a while": _l(
        "Beds24 cannot be reached. The code is not used up: try again in a while."
    ),
    "Beds24 asks for fewer calls; the invite code is not used up, try again in five minutes": _l(
        "Beds24 asks us to slow down. The code is not used up: try again in five minutes."
    ),
    "Beds24 gave no usable answer, and the invite code may be used up: make a new one": _l(
        "Beds24 gave no usable answer. The code may be used up: make a new one."
    ),
} | booking_words.WORDS
#: complaints that carry a name or a number
SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"must be at least (?P<n>-?\d+)"), _l("Write %(n)s or more")),
    (re.compile(r"must be at most (?P<n>-?\d+)"), _l("Write %(n)s or less")),
    (
        re.compile(r"must have at least (?P<n>\d+) characters"),
        _l("Write at least %(n)s characters"),
    ),
    (
        re.compile(r"must have at most (?P<n>\d+) characters"),
        _l("Write at most %(n)s characters"),
    ),
    (re.compile(r"(?P<name>.+) has this id already"), _l("%(name)s has this id already")),
    (
        re.compile(r"this device is registered already, as (?P<name>.+)"),
        _l("This device is registered already, as %(name)s"),
    ),
    (
        re.compile(r"(?P<name>.+) is mapped to (?P<ref>.+) already"),
        _l("%(name)s is mapped to %(ref)s already"),
    ),
    (re.compile(r"(?P<name>.+) has this unit already"), _l("%(name)s has this unit already")),
    (re.compile(r"must be one of .*"), _l("Choose one of the list")),
    *booking_words.SHAPES,
)


def words_for(message: str) -> str:
    """A complaint of a service in the language of the page; its own words when it is new to us."""
    if message in WORDS:
        return str(WORDS[message])
    for shape, said in SHAPES:
        if (found := shape.fullmatch(message)) is not None:
            return str(said) % found.groupdict()
    return message[:1].upper() + message[1:]


@dataclass(frozen=True, slots=True)
class Form:
    """The values a form shows, and what is wrong with them by field ("" is about the whole)."""

    values: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        found = self.values.get(name)
        return "" if found is None else found

    def error(self, name: str) -> str:
        return self.errors.get(name, "")

    def with_error(self, name: str, said: str) -> Form:
        """The same form, with one more thing wrong."""
        return Form(self.values, {**self.errors, name: said})

    def orphans(self, shown: set[str]) -> list[str]:
        """Complaints about nothing this form shows: they go above it."""
        return [said for name, said in self.errors.items() if name not in shown]


def refused(error: ServiceError, values: Mapping[str, Any] | None = None) -> Form:
    """The form again: what was typed, beside what is wrong with it."""
    typed = dict(request.form.items()) if values is None else values
    errors = {each.field or "": words_for(each.message) for each in error.errors}
    return Form(typed, errors or {"": words_for(error.message)})


def sent(model: type[Input], *, whole: bool = False) -> dict[str, Any]:
    """What the form says, as the JSON that the service's input reads.

    An empty field that may be missing is left out, or None when the `whole` thing is changed; one
    that may not stays empty and is complained about. An unticked box says nothing: it is False.
    """
    found: dict[str, Any] = {}
    for name, each in model.model_fields.items():
        kinds = _kinds(each.annotation)
        if bool in kinds:
            if f"{name}_shown" in request.form:
                found[name] = name in request.form
            continue
        if (raw := request.form.get(name)) is None:
            continue
        raw = raw.replace("\0", "").strip()
        if raw == "" and type(None) in kinds:
            found |= {name: None} if whole else {}
        elif raw == "" and not whole and not each.is_required():
            continue
        else:
            found[name] = int(raw) if int in kinds and WHOLE.fullmatch(raw) else raw
    return found


def _kinds(annotation: Any) -> list[Any]:
    """The types in an annotation, inside unions and Annotated."""
    parts = get_args(annotation)
    return [annotation, *(kind for part in parts for kind in _kinds(part))]


def status_of(error: ServiceError) -> int:
    """The status of a form that comes back: 409 for the state of the world, 422 for the words."""
    return 409 if isinstance(error, Conflict) else 422


def dialog(template: str, status: int = 200, **context: Any) -> Response:
    """A question: a dialog for htmx, a page of its own for everybody else."""
    return render(
        template,
        status,
        fragments={"dialog-host": "dialog"},
        in_page=not is_htmx(),
        **context,
    )


def done(
    location: str, said: str = "", *, piece: str = "", leave: bool = False
) -> ResponseReturnValue:
    """Close the dialog and let the page behind it read itself again; 303 without htmx.

    `piece` is a toast of its own making. `leave` goes to `location` in any case: the page behind is
    about something that is gone.
    """
    if not is_htmx():
        return redirect(location, 303)
    response = empty()
    if leave:
        response.headers["HX-Redirect"] = location
        return response
    response.headers["HX-Trigger"] = "changed"
    if said:
        piece = render_template("reservations/_toast.html", text=said)
    response.set_data(piece)
    return response


def attempt(act: Callable[[], Any]) -> ServiceError | None:
    """Do it; the refusal when there is one that a form can show."""
    try:
        act()
    except (Invalid, Conflict) as error:
        return error
    return None
