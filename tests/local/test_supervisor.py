"""Children restart with growing pauses, stop in order, and never outlive the runner."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.local import supervisor as module
from app.local.environment import ROOT
from app.local.processes import command_of, wait_until
from app.local.supervisor import Supervisor

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

LASTING = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LASTING


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


@pytest.fixture
def keep(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path, os.environ)


def turn_until(keep: Supervisor, condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        keep.turn(0.02)


def test_a_child_that_falls_is_started_again_after_growing_pauses(
    keep: Supervisor, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    code = "import sys, time; open(sys.argv[1], 'a').write(f'{time.monotonic()}\\n')"
    keep.add("web", python(code, str(starts)))
    keep._children[0].pause = 0.2
    turn_until(keep, lambda: starts.exists() and len(starts.read_text().splitlines()) == 4)
    keep.stop()
    times = [float(line) for line in starts.read_text().splitlines()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8


def test_pauses_stop_growing_at_half_a_minute(keep: Supervisor) -> None:
    keep.add("web", python("raise SystemExit(3)"))
    child = keep._children[0]
    for _ in range(8):
        turn_until(keep, lambda: child.process is None)
        child.due = 0.0
        keep.turn(0)
    keep.stop()
    assert child.pause == module.LONGEST_PAUSE == 30.0


def test_lines_carry_the_name_of_who_wrote_them(
    keep: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('three')"
    assert keep.run_once("migrate", python(code), lambda: False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == ["migrate | one", "migrate | three", "migrate | two"]


def test_a_failing_command_tells_its_status(keep: Supervisor) -> None:
    assert keep.run_once("migrate", python("raise SystemExit(4)"), lambda: False) == 4


def test_a_command_ends_when_told_to_stop(keep: Supervisor) -> None:
    assert keep.run_once("migrate", python(LASTING), lambda: True) is None


def test_children_stop_one_after_the_other(keep: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.3); open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    for name in ("sandbox", "clock", "web", "worker"):
        keep.add(name, python(code, str(log), name))
    up = {child.name: child for child in keep._children}
    for _ in range(100):  # each must have its handler before it is told to end
        keep.turn(0.05)
        if all(_has_handler(child.process) for child in up.values()):
            break
    keep.stop(("web", "worker", "clock", "sandbox"))
    assert log.read_text().split() == ["web", "worker", "clock", "sandbox"]


def _has_handler(process: subprocess.Popen[bytes] | None) -> bool:
    assert process is not None
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(0.5)
        return True
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & (1 << 14))


def test_one_that_will_not_end_is_killed(
    keep: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.3)
    keep.add("worker", python(STUBBORN))
    process = keep._children[0].process
    assert process is not None
    out: list[str] = []

    def is_up() -> bool:
        out.append(capsys.readouterr().out)
        return "up" in "".join(out)

    turn_until(keep, is_up)
    keep.stop()
    assert process.returncode == -9
    assert "does not end" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_die_with_a_killed_runner(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom app.local.supervisor import Supervisor\n"
        "keep = Supervisor(Path('.'), os.environ)\n"
        f"keep.add('web', [sys.executable, '-c', {LASTING!r}])\n"
        "print(keep._children[0].process.pid, flush=True)\n"
        "while True: keep.turn()"
    )
    with subprocess.Popen(python(code), cwd=ROOT, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        child = int(runner.stdout.readline())
        assert command_of(child) is not None
        runner.kill()
    assert wait_until(lambda: command_of(child) is None, 10)
