"""The worker process: `python worker.py`. Importing it checks every setting (INTERFACES §2)."""

from __future__ import annotations

import sys

from app.queue import pool
from app.queue.processes import load_app

app = load_app()


def main() -> int:
    """Work until told to stop."""
    return pool.Pool(pool.works(app)).run()


if __name__ == "__main__":
    sys.exit(main())
