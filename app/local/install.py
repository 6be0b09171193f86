"""Makes `.venv` and puts the requirements into it; run by any Python ≥ 3.11, so standard library
only: `python app/local/install.py [--dev]`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


class Layer:
    """One requirements file, and the stamp that says it is installed."""

    def __init__(self, file: str, *, optional: bool = False) -> None:
        self.path = ROOT / file
        self.optional = optional
        self.stamp = VENV / f".{self.path.stem}.installed"

    def wanted(self) -> str:
        content = self.path.read_bytes()
        return hashlib.sha256(content + str(sys.version_info[:2]).encode()).hexdigest()

    def current(self) -> bool:
        return self.stamp.exists() and self.stamp.read_text() == self.wanted()

    def install(self) -> bool:
        print(f"Installing {self.path.name} …", file=sys.stderr, flush=True)
        if not self.optional:
            done = pip("-r", str(self.path))
        else:
            # One by one: what cannot be had here must not keep the others out.
            lines = (line.partition("#")[0].strip() for line in self.path.read_text().splitlines())
            for line in filter(None, lines):
                if not pip(line, quiet_errors=True):
                    print(f"  without {line}: not to be had on this machine", file=sys.stderr)
            done = True
        if done:
            self.stamp.write_text(self.wanted())
        return done


def pip(*arguments: str, quiet_errors: bool = False) -> bool:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", *arguments]
    return subprocess.run(command, check=False, capture_output=quiet_errors).returncode == 0


def ensure_venv() -> bool:
    """A `.venv` whose Python is the one we run on and has pip."""
    major, minor = sys.version_info[:2]
    same = f"import sys, pip; sys.exit(sys.version_info[:2] != ({major}, {minor}))"
    works = PYTHON.exists() and (
        subprocess.run([str(PYTHON), "-c", same], check=False, capture_output=True).returncode == 0
    )
    if works:
        return True
    print("Making .venv …", file=sys.stderr, flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    return made.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="the test and check tools as well")
    options = parser.parse_args()
    layers = [Layer("requirements.txt"), Layer("requirements-local.txt", optional=True)]
    if options.dev:
        layers.append(Layer("requirements-dev.txt"))
    # Two first starts at once (bin/run beside bin/test) take turns; the kernel frees the lock of
    # whoever dies. The directory itself is locked, so no file has to be left behind.
    descriptor = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if PYTHON.exists() and all(layer.current() for layer in layers):
        return 0
    if not ensure_venv():
        print("The virtual environment .venv could not be made: see above.", file=sys.stderr)
        return 1
    for layer in layers:
        if not layer.current() and not layer.install():
            print(f"{layer.path.name} could not be installed: see above.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped; the next start goes on from here.")
