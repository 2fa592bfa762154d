"""Stop points and stacks of the real guest, held against what the engine itself says."""

import ctypes
from pathlib import Path

import pytest

from wdbg.instrument.stops import AFTER_CALL, ENTRY, TICK
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.guest import default_guest
from wdbg.runtime.machine import Machine
from wdbg.runtime.probes import Captured
from wdbg.runtime.stacks import read_stacks


@pytest.fixture
def console(tmp_path: Path):
    with (tmp_path / "console").open("wb") as file:
        yield StreamConsole(file.fileno())


def start(console: StreamConsole, command: str, variant: str) -> Machine:
    guest = default_guest([])
    line = "quiet WDBG_EXEC=" + command.replace(" ", "%20")
    options = BootOptions(guest.kernel, guest.initrd, line, variant=variant)
    return boot(options, console)


def name_of(machine: Machine, frame: Captured) -> str:
    assert machine.probes is not None
    module = machine.probes.modules[frame.module]
    index = module.functions.at(module.stops.places[frame.stop])
    assert index is not None
    return module.functions.name(index)


def arm_entry(machine: Machine, function: str) -> None:
    assert machine.probes is not None
    kernel = machine.probes.modules[0]
    index = kernel.functions.index(function)
    assert index is not None
    start = kernel.functions.start(index)
    assert start is not None
    stop = kernel.stops.between(start, start + kernel.functions.size(index))[0]
    assert kernel.stops.kinds[stop] & ENTRY
    kernel.arm(stop)


@pytest.mark.parametrize("variant", ["debug", "watch", "edit"])
def test_the_run_is_the_same_in_every_variant(console: StreamConsole, variant: str) -> None:
    command = "cat /proc/cpuinfo; ls /proc"
    digests = set()
    for name in ("tick", variant):
        machine = start(console, command, name)
        assert machine.run() is not None
        digests.add(machine.digest(memory=True))
    assert len(digests) == 1


def test_stacks_name_the_frames_that_the_engine_sees(console: StreamConsole) -> None:
    machine = start(console, "cat /proc/cpuinfo", "debug")
    arm_entry(machine, "do_sys_openat2")
    machine.on_probe = lambda cpu, task, module, stop: True
    for _ in range(2):
        assert machine.run() is None
        assert machine.stopped_at is not None
        before = machine.digest(memory=True)
        stacks = read_stacks(machine, list(machine.tasks.values()))
        assert machine.digest(memory=True) == before
        assert len(stacks) > 40
        deep = 0
        for task in machine.tasks.values():
            if task.fresh:
                continue
            seen = [frame.function for frame in machine.abi.backtrace(task)]
            assert [name_of(machine, frame) for frame in stacks[task.pointer]] == seen
            deep = max(deep, len(seen))
            for frame in stacks[task.pointer][1:]:
                kinds = machine.probes.modules[frame.module].stops.kinds[frame.stop]
                assert kinds & (AFTER_CALL | TICK | ENTRY)
        assert deep > 8


def test_a_stack_can_be_read_at_any_tick(console: StreamConsole) -> None:
    machine = start(console, "pingpong 200", "debug")
    for tick in range(60_000, 90_000, 1_237):
        assert machine.run(until=tick) is None
        task = machine.running
        assert task is not None
        seen = [frame.function for frame in machine.abi.backtrace(task)]
        found = [name_of(machine, frame) for frame in read_stacks(machine, [task])[task.pointer]]
        assert found == seen
        assert found


def test_arguments_of_a_system_call_are_handed_over(console: StreamConsole) -> None:
    machine = start(console, "cat /proc/cpuinfo", "debug")
    arm_entry(machine, "do_sys_openat2")
    opened = []

    def note(cpu: object, task: object, module: object, stop: int) -> bool:
        return True

    machine.on_probe = note
    while machine.run() is None:
        assert machine.stopped_at is not None
        values = machine.stopped_at[1].locals
        opened.append(machine.memory.read_string(values[1]))
        assert ctypes.c_int32(values[0]).value == -100  # AT_FDCWD
    assert "/proc/cpuinfo" in opened


def test_watch_checks_see_each_kind_of_access(console: StreamConsole) -> None:
    machine = start(console, "sleep 1", "watch")
    assert machine.probes is not None
    address = machine.cpus[0].task.kernel.global_value("wasm_cpu_irq")
    assert address
    machine.probes.watch(address, 4, 1)
    seen: set[int] = set()
    host: list[int] = []

    def note(task: object, where: int, length: int, bits: int) -> None:
        if where <= address < where + length:
            seen.add(bits)

    machine.on_access = note
    machine.memory.on_write = lambda where, length: host.append(where)
    assert machine.run() is not None
    assert seen >= {1, 3}  # read, and taken by an atomic exchange
    assert address in host
