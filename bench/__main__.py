"""Runs the benchmarks named as arguments, or all; prints one JSON object per line."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to try it out")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="turnkey-bench-") as directory:
        house: House
        with open_house(Path(directory), scale=0.1 if options.quick else 1.0) as house:
            for name in options.names or BENCHES:
                for result in importlib.import_module(BENCHES[name]).run(house):
                    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
