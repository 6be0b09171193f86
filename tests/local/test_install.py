"""The environment of bin/run and bin/test: made once, by one at a time, made current on change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.local.environment import ROOT

UNOBTAINABLE = "turnkey-has-no-such-package==0.0\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout whose requirements are satisfied without a network."""
    (tmp_path / "app" / "local").mkdir(parents=True)
    shutil.copy(ROOT / "app" / "local" / "install.py", tmp_path / "app" / "local")
    (tmp_path / "requirements.txt").write_text("# nothing yet\n")
    (tmp_path / "requirements-local.txt").write_text(UNOBTAINABLE)
    (tmp_path / "requirements-dev.txt").write_text("# no tools yet\n")
    return tmp_path


def start(tree: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "app/local/install.py", *arguments],
        cwd=tree,
        env={"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def install(tree: Path, *arguments: str) -> tuple[int, str]:
    with start(tree, *arguments) as process:
        _, told = process.communicate(timeout=100)
    return process.returncode, told


@pytest.mark.faults
def test_an_environment_from_first_start_to_change(tree: Path) -> None:
    with start(tree) as first, start(tree, "--dev") as second:
        told = [process.communicate(timeout=100)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    # Two first starts at once make it once between them.
    assert "".join(told).count("Making .venv") == 1
    assert "".join(told).count("Installing requirements.txt") == 1
    # An engine that cannot be had is named, and is no failure.
    assert f"without {UNOBTAINABLE.strip()}" in "".join(told)

    assert install(tree) == (0, "")  # a second start does nothing

    (tree / "requirements.txt").write_text(UNOBTAINABLE)
    status, text = install(tree)
    assert status == 1
    assert "requirements.txt could not be installed" in text
    (tree / "requirements.txt").write_text("# better\n")
    status, text = install(tree)
    assert status == 0
    assert "Making .venv" not in text
    assert "Installing requirements.txt" in text

    (tree / ".venv" / "bin" / "python").unlink()  # its Python was upgraded away
    status, text = install(tree)
    assert status == 0
    assert "Making .venv" in text
