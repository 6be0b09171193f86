"""What a service may raise; doors translate these to pages and problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One complaint; `field` is None when it is about the whole."""

    field: str | None
    message: str


class ServiceError(Exception):
    """The parent of everything a service refuses; `message` may be shown to people."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errors = tuple(errors)


class NotFound(ServiceError):
    """No such thing: 404."""


class Invalid(ServiceError):
    """A field or parameter is wrong: 400 (422 on a form). `errors` names each."""

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        return cls(f"{name}: {message}", [FieldError(name, message)])


class Conflict(ServiceError):
    """The state of the world forbids it: 409."""


class Stale(Conflict):
    """Somebody else has changed the row since it was read: 409, with what it is now."""


class InvalidTransition(Conflict):
    """The row's present status does not allow the action: 409."""


class Forbidden(ServiceError):
    """The person may not do that: 403."""


class Unavailable(ServiceError):
    """Something needed is not configured or not reachable right now: 503."""
