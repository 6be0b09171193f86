"""The commands a newcomer meets: what they need, say and start (INTERFACES §1)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("bin/run", "bin/test", "bin/check", ".ci/run")
RECORDER = """#!/bin/sh
echo "$@" >> {log}
echo "database=${{DATABASE_URL-unset}} redis=${{REDIS_URL-unset}} chromium=$CHROMIUM" >> {log}.env
case "$*" in {failing}) exit 1 ;; esac
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The commands beside an environment that only notes what it is asked to do."""
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    for tool in ("sh", "dirname"):
        (tmp_path / "tools" / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    return tmp_path


def program(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def recorder(tree: Path, failing: str = "nothing") -> Path:
    log = tree / "log"
    program(tree / ".venv" / "bin" / "python", RECORDER.format(log=log, failing=failing))
    program(tree / "tools" / "python3", "#!/bin/sh\nexit 0\n")
    return log


def run(tree: Path, command: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / command, *arguments],
        env={"PATH": str(tree / "tools")} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_can_be_run(command: str) -> None:
    path = ROOT / command
    assert os.access(path, os.X_OK)
    shell = "bash" if "bash" in path.read_text().splitlines()[0] else "sh"
    subprocess.run([shell, "-n", path], check=True)


def test_no_python_is_one_line(tree: Path) -> None:
    answer = run(tree, "bin/run")
    assert answer.returncode == 1
    assert answer.stderr == "Turnkey needs Python 3.11 or newer; found: no python3.\n"


def test_an_old_python_is_named(tree: Path) -> None:
    old = '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n'
    program(tree / "tools" / "python3", old)
    answer = run(tree, "bin/run")
    assert answer.returncode == 1
    assert answer.stderr == "Turnkey needs Python 3.11 or newer; found: Python 3.9.2.\n"


def test_a_python_without_venv_says_what_to_install(tree: Path) -> None:
    bare = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n'
    program(tree / "tools" / "python3", bare)
    answer = run(tree, "bin/run")
    assert answer.returncode == 1
    assert "apt-get install python3-venv" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_a_newer_python_beside_an_old_one_is_found(tree: Path) -> None:
    log = recorder(tree)
    program(tree / "tools" / "python3.12", "#!/bin/sh\nexit 0\n")
    program(tree / "tools" / "python3", "#!/bin/sh\nexit 1\n")
    assert run(tree, "bin/run").returncode == 0
    assert log.read_text() == "-m app.local.runner\n"


def test_a_missing_chromium_is_named_and_fails(tree: Path) -> None:
    log = recorder(tree)
    answer = run(tree, "bin/test")
    assert answer.returncode == 1
    assert "Chromium" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not log.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "-m pytest -n 2 --dist loadgroup -m not faults -n 3"),
        (("tests/web", "-x"), "-m pytest -n 2 --dist loadgroup -m not faults -n 3 tests/web -x"),
        (("-m", "faults"), "-m pytest -n 2 --dist loadgroup -m faults"),
    ],
)
def test_the_suite_runs_on_engines_of_its_own(
    tree: Path, arguments: tuple[str, ...], expected: str
) -> None:
    log = recorder(tree)
    program(tree / "tools" / "chromium", "#!/bin/sh\n")
    configured = {"DATABASE_URL": "postgres://hotel/production", "REDIS_URL": "redis://hotel"}
    assert run(tree, "bin/test", *arguments, **configured).returncode == 0
    assert log.read_text().strip() == expected
    environment = Path(f"{log}.env").read_text().strip()
    assert environment == f"database=unset redis=unset chromium={tree}/tools/chromium"


def test_a_check_that_fails_does_not_hide_the_others(tree: Path) -> None:
    log = recorder(tree, failing="*'ruff check'*")
    assert run(tree, "bin/check").returncode == 1
    assert [line.split()[1] for line in log.read_text().splitlines()] == [
        "ruff",
        "ruff",
        "mypy",
        "pytest",
        "app.local.advisories",
    ]
    recorder(tree)
    assert run(tree, "bin/check").returncode == 0


def test_the_procfile_names_the_processes_of_interfaces() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    processes = dict(line.split(": ", 1) for line in lines)
    assert list(processes) == ["release", "web", "worker", "clock"]
    assert processes["release"] == "flask --app wsgi db upgrade"
    assert processes["worker"] == "python worker.py"
    assert processes["clock"] == "python -m app.queue.clock"


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda p: p.name)
def test_every_requirement_is_pinned(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    loose = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.\-\[\]]+==\S+", line)]
    assert loose == []
