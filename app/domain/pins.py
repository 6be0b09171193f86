"""Generate, check and mask a PIN."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

#: 1 to 9 only: sidesteps keypads without a 0 and lost leading zeros (contracts/tuya.md §6)
ALPHABET = "123456789"
BULLETS = "•••••"


class Pin:
    """The secret digits. Prints, formats and pickles as a mask; `reveal()` is the only way out."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        if not (digits.isascii() and digits.isdigit() and 4 <= len(digits) <= 10):
            raise ValueError("a PIN is 4 to 10 digits")
        self._digits = digits

    def reveal(self) -> str:
        """The digits in clear. Callers record who asked, and never log the result."""
        return self._digits

    @property
    def last2(self) -> str:
        return self._digits[-2:]

    def __len__(self) -> int:
        return len(self._digits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pin) and secrets.compare_digest(self._digits, other._digits)

    def __hash__(self) -> int:
        return hash(("pin", self._digits))

    def __repr__(self) -> str:
        return f"Pin({mask(self.last2)})"

    def __str__(self) -> str:
        return mask(self.last2)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a PIN is not pickled")


def mask(last2: str | None) -> str:
    """Five dots and the last two digits, from the stored last two."""
    return f"{BULLETS}{last2 or ''}"


def is_trivial(digits: str) -> bool:
    """One digit repeated, a run up or down, or a short pattern repeated (1212121, 1231231)."""
    if len(set(digits)) <= 2:
        return True
    steps = {ord(b) - ord(a) for a, b in itertools.pairwise(digits)}
    if steps in ({1}, {-1}):
        return True
    return any(digits == (digits[:n] * len(digits))[: len(digits)] for n in (2, 3))


def generate(length: int, taken: Callable[[Pin], bool] = lambda pin: False) -> Pin:
    """A random PIN of `length` digits (4 to 10) that is not trivial and not `taken`.

    Raises RuntimeError when a hundred draws are all taken, which means the lock's set is wrong.
    """
    if not 4 <= length <= 10:
        raise ValueError("PIN length must be between 4 and 10")
    for _ in range(100):
        digits = "".join(secrets.choice(ALPHABET) for _ in range(length))
        pin = Pin(digits)
        if not is_trivial(digits) and not taken(pin):
            return pin
    raise RuntimeError("no free PIN found in 100 draws")
