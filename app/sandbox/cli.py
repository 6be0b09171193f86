"""`flask sandbox …`: work a running sandbox from a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from app.sandbox import control
from app.sandbox.control import SandboxError

P = ParamSpec("P")
R = TypeVar("R")

group = click.Group("sandbox", help="The vendor sandbox: bookings, locks and faults.")
booking = click.Group("booking", help="Bookings in the pretended Stays.")
locks = click.Group("locks", help="The pretended locks.")
fault = click.Group("fault", help="What the pretended vendors do wrong.")
for child in (booking, locks, fault):
    group.add_command(child)

CHANGES = (
    click.option("--room", "listing", help="Listing code of the room."),
    click.option("--guest", "guest_name"),
    click.option("--email", "guest_email"),
    click.option("--phone", "guest_phone"),
    click.option("--check-in", "check_in", help="YYYY-MM-DD"),
    click.option("--check-out", "check_out", help="YYYY-MM-DD"),
    click.option("--check-in-time", "check_in_time", help="HH:MM"),
    click.option("--check-out-time", "check_out_time", help="HH:MM"),
    click.option("--type", "type", help="booked, reserved, contract, blocked …"),
    click.option("--amount", type=float),
)


def told(command: Callable[P, R]) -> Callable[P, R]:
    """A sandbox that is away or refuses is one line and exit code 1."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SandboxError as error:
            raise click.ClickException(str(error)) from None

    return guarded


def _with(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _show(row: dict[str, Any]) -> None:
    click.echo("  ".join(f"{name}={value}" for name, value in row.items() if value is not None))


@booking.command("list")
@told
def booking_list() -> None:
    """List all bookings."""
    for row in control.list_bookings():
        _show(row)


@booking.command("create")
@_with(CHANGES)
@told
def booking_create(**fields: Any) -> None:
    """Book a room; --room, --guest, --check-in and --check-out are needed."""
    given = _given(fields)
    for name, option in (
        ("listing", "--room"),
        ("guest_name", "--guest"),
        ("check_in", "--check-in"),
        ("check_out", "--check-out"),
    ):
        if name not in given:
            raise click.UsageError(f"Missing option '{option}'.")
    _show(control.create_booking(**given))


@booking.command("change")
@click.argument("ref")
@_with(CHANGES)
@told
def booking_change(ref: str, **fields: Any) -> None:
    """Change a booking."""
    _show(control.change_booking(ref, **_given(fields)))


@booking.command("cancel")
@click.argument("ref")
@told
def booking_cancel(ref: str) -> None:
    """Cancel a booking."""
    _show(control.cancel_booking(ref))


@booking.command("delete")
@click.argument("ref")
@told
def booking_delete(ref: str) -> None:
    """Let a booking vanish without a word."""
    _show(control.delete_booking(ref))


@locks.command("list")
@told
def locks_list() -> None:
    """List the locks with what is on them."""
    for row in control.list_locks():
        _show(row)


@locks.command("touch")
@click.argument("device_id")
@told
def locks_touch(device_id: str) -> None:
    """Wake a sleeping lock, as a hand on its keypad does."""
    _show(control.touch_lock(device_id))


@fault.command("list")
@told
def fault_list() -> None:
    """List the faults that are on."""
    for row in control.list_faults():
        _show(row)


@fault.command("set")
@click.argument("scope")
@click.argument("kind")
@click.option("--operation", help="Only this call.")
@click.option("--count", type=int, help="So many times.")
@click.option("--seconds", type=float)
@click.option("--code", type=int)
@click.option("--message")
@told
def fault_set(scope: str, kind: str, **options: Any) -> None:
    """Switch a fault on: SCOPE is stays, tuya, webhooks, locks or a device id."""
    _show(control.set_fault(scope, kind, **_given(options)))


@fault.command("clear")
@click.argument("fault_id", type=int, required=False)
@told
def fault_clear(fault_id: int | None) -> None:
    """Switch one fault off, or all."""
    click.echo(f"{control.clear_faults(fault_id)} switched off.")


@group.command("reset")
@told
def reset() -> None:
    """Throw everything away and start with fresh demo data."""
    _show(control.reset_demo())
