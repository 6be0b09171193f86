"""What would be done anew for every test, and need not be."""

from __future__ import annotations

import contextlib
import gc
import importlib
import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Rule

#: allocations between two looks for cycles (Python's own number is 700)
GARBAGE_THRESHOLD = 20_000


def leave_what_lasts_to_itself() -> None:
    """Modules and collected tests, half a million objects, are never again searched for cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def share_the_rewriting(number: int, of: int) -> None:
    """pytest writes each test file anew for its assertions and keeps what it wrote. Test processes
    that begin together would all write all: this one begins with its share of the files, and then
    finds the others' shares written. What cannot be imported is left for the collection to tell."""
    here = Path(__file__).parent
    for path in sorted(here.rglob("test_*.py"))[number::of]:
        module = ".".join(path.relative_to(here.parent).with_suffix("").parts)
        with warnings.catch_warnings(), contextlib.suppress(Exception, pytest.skip.Exception):
            warnings.simplefilter("error")
            importlib.import_module(module)


def share_compiled_routes() -> None:
    """Werkzeug writes and compiles Python for each rule of a URL map. Hundreds of apps here have
    the same rules (every test with a sandbox makes one), so equal rules share what was compiled:
    it takes the rule as its argument and keeps nothing."""
    compile_builder: Callable[[Rule, bool], Any] = Rule._compile_builder
    compiled: dict[Hashable, Any] = {}

    def once(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:  # they are written into the code
            return compile_builder(rule, append_unknown)
        key = (tuple(rule._trace), append_unknown)
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = once  # type: ignore[method-assign]
