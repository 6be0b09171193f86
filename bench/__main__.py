"""Runs the benchmarks named as arguments, or all but the slow ones; one JSON object per line.

With `--table FILE` nothing is run: the lines of FILE become the tables of docs/performance.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from bench import table
from bench.house import House, open_house

#: name -> module with `run(house) -> iterable of results`
BENCHES = {
    "reconcile": "bench.reconcile",
    "webhooks": "bench.webhooks",
    "pages": "bench.pages",
    "console": "bench.console",
    "metrics": "bench.metrics",
    "pins": "bench.pins",
    "matching": "bench.matching",
    "rooms": "bench.rooms",
    "bookings": "bench.bookings",
    "memory": "bench.memory",
}
#: these take minutes each, and run when they are named
BY_NAME = {"growth": "bench.growth", "workers": "bench.workers"}
EVERY = BENCHES | BY_NAME


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 when a benchmark failed, the others having been printed all the same."""
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHES)}; {', '.join(BY_NAME)}"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to try it out")
    parser.add_argument("--table", type=Path, metavar="FILE", help="publish the lines of FILE")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EVERY]
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}")
    if options.table is not None:
        table.publish(options.table)
        return 0
    failed: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="turnkey-bench-") as directory,
        open_house(Path(directory), scale=0.1 if options.quick else 1.0) as house,
    ):
        for name in options.names or BENCHES:
            if not measured(name, house):
                failed.append(name)
    if failed:
        sys.stderr.write(f"FAILED: {', '.join(failed)}\n")
    return 1 if failed else 0


def measured(name: str, house: House) -> bool:
    """Print what a benchmark measures; False when it failed, which is told apart from the lines."""
    try:
        for line in importlib.import_module(EVERY[name]).run(house):
            print(json.dumps(line), flush=True)
    except Exception:
        traceback.print_exc()
        sys.stderr.write(f"benchmark {name} FAILED\n")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
