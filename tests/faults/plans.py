"""A seeded plan of what goes wrong: the same seed is the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass

VENDORS = ("stays", "beds24", "tuya")
#: what is past our patience with any vendor
TOO_LATE = 13.0
#: the vendors' troubles: whose, which, and what else is to be said of it
TROUBLES: tuple[tuple[str, str, dict[str, float]], ...] = (
    *((vendor, kind, {}) for vendor in VENDORS for kind in ("down", "500", "429", "slow")),
    *((vendor, kind, {}) for vendor in VENDORS for kind in ("half", "html", "empty", "null")),
    *((vendor, "slow", {"seconds": TOO_LATE}) for vendor in VENDORS),  # done, told too late
    ("beds24", "lost", {}),
    ("beds24", "lost", {}),
    ("beds24", "401", {}),
    ("tuya", "lost", {}),
    ("tuya", "lost", {}),
    ("tuya", "token_expired", {}),
    ("tuya", "busy", {}),
    ("tuya", "rate", {}),
    ("webhooks", "duplicate", {}),
    ("webhooks", "reordered", {}),
    ("webhooks", "slow", {}),
)
#: every plan has each of these once; numbers are seconds, chances or shares, drawn from a range
ALWAYS: tuple[tuple[str, tuple[float, float]], ...] = (
    ("fill the disk", (4, 9)),
    ("fill the disk, log of writes too", (4, 9)),
    ("stop redis", (2, 6)),
    ("stop postgres", (2, 6)),
    ("second clock", (8, 20)),
    ("overlapping deploy", (2, 6)),
    ("kill any", (0, 1)),
    ("end any", (0, 1)),
)
SOMETIMES: tuple[tuple[str, tuple[float, float] | None], ...] = (
    ("kill any", (0, 1)),
    ("kill any", (0, 1)),
    ("end any", (0, 1)),
    ("kill worker.py", None),
    ("kill app.queue.clock", None),
    ("kill gunicorn", None),
    ("empty redis", None),
    ("freeze redis", (1, 4)),
    ("kill redis", None),
    ("kill postgres", None),
    ("restart postgres", None),
    ("cut postgres", None),
    *(("trouble", None),) * 9,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes wrong, so many seconds after the one before is over."""

    pause: float
    deed: str
    details: tuple[object, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(part) for part in (f"+{self.pause:.1f}s", self.deed, *self.details))


def make(seed: int, seconds: float) -> list[Step]:
    """Steps whose pauses add up to `seconds` or a little more."""
    dice = random.Random(seed)
    pauses: list[float] = []
    while sum(pauses) < seconds:
        pauses.append(dice.uniform(1.5, 6))
    rare = [(deed, (round(dice.uniform(*drawn), 2),)) for deed, drawn in ALWAYS]
    steps: list[tuple[str, tuple[object, ...]]] = [*rare]
    while len(steps) < len(pauses):
        deed, drawn = dice.choice(SOMETIMES)
        if deed == "trouble":
            steps.append((deed, (*dice.choice(TROUBLES), dice.randint(1, 6))))
        else:
            steps.append((deed, (round(dice.uniform(*drawn), 2),) if drawn else ()))
    dice.shuffle(steps)
    return [Step(pause, *step) for pause, step in zip(pauses, steps, strict=False)]
