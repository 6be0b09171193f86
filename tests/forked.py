"""Processes beside the test's: forked from a server that has the whole app loaded."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext


def context() -> ForkServerContext:
    """Where children come from. The server lives as long as the test process, and is asked once
    what it should load, so every test asks for the same."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.forked_ahead"])
    return found
