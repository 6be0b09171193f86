"""When a run would change too much to be trusted without a person (INTERFACES §5, DECISIONS 7)."""

from __future__ import annotations

SHARE = 0.20
FREE = 5


def trips(risky: int, active: int) -> bool:
    """Whether `risky` cancellations and moves among `active` stays need a person's word: more than
    a fifth of them, and more than five."""
    return risky > FREE and risky > active * SHARE


def explain(risky: int, active: int, channel: str) -> str:
    """What the stopped run says of itself."""
    return (
        f"Stopped before changing anything: {risky} of {active} active stays would be cancelled or "
        f"moved. Check {channel}, then apply this plan or start a new run."
    )
