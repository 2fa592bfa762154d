"""Figures about recording, checkpoints and steps backwards."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.processes import WDBG, cost_of
from bench.rows import Row, at_most
from bench.series import interleaved, ratios, spread

WORK = "spawnstorm 200; pingpong 2000; fschurn 200"
FAR = 10**9
"""Ticks after boot at which steps go backwards."""
STEPS = 20

_STEPS = """
import json, sys, time
from wdbg.cli.debugging import make_timeline
from wdbg.debugger.model import Action, Resume, StopReason
from wdbg.debugger.shelf import Why
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.guest import default_guest
guest = default_guest()
options = BootOptions(kernel=guest.kernel, initrd=guest.initrd, variant="debug",
    command_line="quiet WDBG_EXEC=while%20true;%20do%20true;%20done".replace(";", "%3B"))
timeline = make_timeline(boot(options, StreamConsole(None)), options)
timeline.run_to(int(sys.argv[1]))
timeline.live.stand()
took = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    entry = timeline.snapshot(timeline.machine, Why.HAND)
    took.append(time.perf_counter() - start)
def go(actions, default):
    start = time.perf_counter()
    timeline.resume(actions, default)
    while (event := timeline.pump()) is None:
        pass
    return event, time.perf_counter() - start
back = Action(Resume.CONTINUE, reverse=True)
step = Action(Resume.STEP, reverse=True)
event = timeline.stop_event()
steps = []
for _ in range(int(sys.argv[2]) + 1):
    event, seconds = go({event.tid: step}, back)
    assert event.reason is StopReason.STEP, event
    steps.append(seconds)
timeline.close()
print(json.dumps({"checkpoint": took, "steps": steps}))
"""


def time_travel(rounds: int) -> Iterator[Row]:
    """Recording over not recording (CPU time of the whole run), what a checkpoint of a guest of
    128 MiB takes, and a step backwards at 10^9 ticks."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "r"
        plain = [str(WDBG), "run", "--append", "quiet", "--exec", WORK]
        runs = {
            "plain": partial(_cpu, plain),
            "recorded": partial(_cpu, [*plain, "--record", str(path)]),
        }
        samples = interleaved(runs, rounds)
        ratio = ratios(samples["recorded"], samples["plain"])
        yield at_most("recorded ÷ not recorded, CPU time", "×", ratio, 1.02)
        boot = [str(WDBG), "run", "--append", "quiet", "--record", str(path), "--exec", "true"]
        cost_of(boot)
        size = float(path.stat().st_size)
        yield Row("recording of a boot", "bytes", spread([size]))
    found = _steps()
    checkpoints = [1000 * seconds for seconds in found["checkpoint"]]
    yield at_most("checkpoint, guest of 128 MiB", "ms", spread(checkpoints), 10)
    steps = [1000 * seconds for seconds in found["steps"]]
    yield Row("first step backwards at 10^9 ticks", "ms", spread(steps[:1]))
    yield at_most("step backwards at 10^9 ticks", "ms", spread(steps[1:]), 30)


def _cpu(command: list[str]) -> float:
    cost, _ = cost_of(command)
    return cost.cpu


def _steps() -> dict[str, list[float]]:


    words = [sys.executable, "-c", _STEPS, str(FAR), str(STEPS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found
