"""`python -m app.sandbox`: run the sandbox until told to stop.

SANDBOX_PORT (8001) is where it listens, SANDBOX_TARGET (this machine's PORT) where webhooks go, and
TURNKEY_VAR (`var/`) where keys and state are kept.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from app.sandbox.app import create_sandbox
from app.sandbox.credentials import load_keys, port_from
from app.sandbox.server import running

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """Serve until SIGTERM or SIGINT; the state is written before the end."""
    if os.environ.get("APP_ENV", "").lower() == "production":
        sys.stderr.write("The sandbox opens no real door and does not run in production.\n")
        return 1
    stop = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    var = Path(os.environ.get("TURNKEY_VAR") or ROOT / "var")
    product = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    app = create_sandbox(
        var / "sandbox",
        keys=load_keys(var),
        target=os.environ.get("SANDBOX_TARGET") or product,
        dialect=(os.environ.get("STAYS_DIALECT") or "simple").lower(),
    )
    port = port_from(os.environ)
    try:
        with running(app, port) as base:
            sys.stdout.write(f"Vendor sandbox on {base}\n")
            sys.stdout.flush()
            stop.wait()
    except (OSError, SystemExit):  # werkzeug has said why; it exits on a taken port
        sys.stderr.write(f"The sandbox cannot listen on port {port}. Set SANDBOX_PORT.\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
