"""Every failure and every reason of a comparison has words on the pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from flask import Flask

from app.config import ROOT
from app.domain import calendar_comparison
from app.integrations import errors
from app.models.reconciliation import RUN_KINDS
from app.web.comparison_reasons import REASONS, reason
from app.web.reconciliation_wording import FAILURES, KINDS


def subclasses(kind: type[errors.IntegrationError]) -> Iterator[type[errors.IntegrationError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from subclasses(each)


#: of locks, and of what is told rather than read
ELSEWHERE = {
    "clock_skew", "lock_offline", "lock_busy", "lock_full", "name_taken", "pin_taken",
    "start_in_past", "unmapped", "withdrawn",
}  # fmt: skip


def test_every_failure_has_words(app: Flask) -> None:
    kinds = {each.kind for each in subclasses(errors.IntegrationError)}
    assert kinds - ELSEWHERE - FAILURES.keys() == set()
    source = (ROOT / "app/services/reconciliation.py").read_text()
    said = set(re.findall(r'_fail\([^)]*"(\w+)", retry', source))
    assert said >= {"no_credits", "not_connected", "out_of_time", "stopped", "world_changed"}
    assert said - FAILURES.keys() == set()
    assert set(KINDS) == set(RUN_KINDS)


def sentences() -> set[str]:
    """Every reason that the comparisons give in words of their own."""
    found = set()
    for path in (
        "app/domain/comparison.py", "app/domain/calendar_comparison.py",
        "app/services/booking_plans.py", "app/services/booking_blocks.py",
        "app/services/rate_comparison.py",
    ):  # fmt: skip
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            said = node.value if isinstance(node, ast.Constant) else None
            if isinstance(said, str) and re.fullmatch(r"[A-Z][a-z]*( [^\s]+){2,}", said):
                found.add(said)
    return {one for one in found if not one.endswith(".")}


def test_every_reason_has_words(app: Flask) -> None:
    said = sentences()
    assert len(said) > 20
    assert {one for one in said if one not in REASONS} == set()
    with app.test_request_context("/?lang=pt"):
        decisions: list[Any] = [
            calendar_comparison.units(0, -1),
            calendar_comparison.units(4, 1),
            calendar_comparison.units(1, 4),
            calendar_comparison.units(4, 3, unseen=3),
            calendar_comparison.units(-2, 0),
            calendar_comparison.patient(calendar_comparison.units(4, 3), 3),
        ]
        for one in decisions:
            assert one.reason
            assert reason(one.reason) != one.reason
    assert reason("never heard of") == "never heard of"
