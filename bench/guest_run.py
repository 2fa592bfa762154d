"""`python -m bench.guest_run JSON`: one boot in a fresh process, measured from inside.

The guest runs a shell command whose output has marks; for each mark that the console shows, one
JSON object is printed: wall and CPU seconds since the guest's first instruction, ticks, context
switches, guest tasks, resident MiB.
"""

import json
import re
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from wdbg.cli.run import percent_encode
from wdbg.cli.tracing import TraceRequest
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.guest import default_guest
from wdbg.runtime.machine import Machine

MARK = re.compile(rb"^@(\w+)\r?$", re.MULTILINE)
"""A line that a measured command prints with `echo @NAME`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of a run when the console showed mark `name`; times in seconds from the start."""

    name: str
    wall: float
    cpu: float
    ticks: int
    switches: int
    host_calls: int
    tasks: int
    resident: float
    units: int = 0
    """8-byte units that a trace has recorded: a call's entry or exit is one."""


class MarkedConsole(StreamConsole):
    """Takes a reading at each mark; shows nothing."""

    def __init__(self) -> None:
        super().__init__(None)
        self.machine: Machine | None = None
        self.text = bytearray()
        self.readings: list[Reading] = []
        self.start = (0.0, 0.0)

    def begin(self, machine: Machine) -> None:
        """The guest's first instruction comes next."""
        self.machine = machine
        self.start = (time.perf_counter(), time.process_time())

    def write(self, data: bytes) -> None:
        """Look for marks in what is complete."""
        self.text += data
        end = self.text.rfind(b"\n") + 1
        for match in MARK.finditer(bytes(self.text[:end])):
            self.readings.append(self._read(match[1].decode()))
        del self.text[:end]

    def _read(self, name: str) -> Reading:
        machine = self.machine
        assert machine is not None
        wall, cpu = time.perf_counter() - self.start[0], time.process_time() - self.start[1]
        return Reading(
            name, wall, cpu, machine.ticks, machine.switches, machine.host_calls,
            len(machine.tasks), resident(),
            0 if machine.tracer is None else machine.tracer.recorded() // 8,
        )  # fmt: skip


def resident() -> float:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages / 256


def main() -> int:
    """Boot as the argument says, print readings; 0 if the guest's command ended well."""
    asked = json.loads(sys.argv[1])
    guest = default_guest(asked.get("config", ()))
    options = BootOptions(
        kernel=guest.kernel,
        initrd=guest.initrd,
        command_line=f"quiet WDBG_EXEC={percent_encode(asked['command'])}",
        cpus=asked.get("cpus", 1),
        memory=asked.get("memory", 128) << 20,
        variant=asked.get("variant", "tick"),
        frozen_clock=asked.get("frozen_clock", False),
    )
    trace = None
    if "trace" in asked:
        trace = TraceRequest(Path(asked["trace"]), guest.kernel, **asked.get("tracing", {}))
        options = replace(options, recording=trace.recording)
    console = MarkedConsole()
    machine = boot(options, console)
    if trace is not None:
        trace.start(machine, options)
    console.begin(machine)
    stop = machine.run()
    if trace is not None and stop is not None:
        trace.finish(machine, stop)
    for reading in console.readings:
        print(json.dumps(asdict(reading)))
    if stop is None or stop.exit_code:
        print(f"the run ended with {stop}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
