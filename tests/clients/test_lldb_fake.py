"""Debian's LLDB on a guest that is none: the real kernel's symbols, frames made up."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from symbols.dwarf.index import Index
from symbols.wasm import Module
from symbols.wasm.container import SectionId
from tests.clients.lldb import Transcript, drive
from tests.gdbstub.fake import CAT, IDLE, INIT, FakeDebugger
from wdbg.debugger.model import (
    Action,
    Frame,
    Hit,
    ModuleInfo,
    Place,
    Resume,
    StopEvent,
    StopReason,
    WatchKind,
)
from wdbg.gdbstub.listener import Address, Listener
from wdbg.gdbstub.lldb.dialect import lldb_dialect
from wdbg.gdbstub.server import Server
from wdbg.runtime.guest import Guest

NAMES = {INIT: 0x500, CAT: 0x600}
AT_FDCWD = 0xFFFFFF9C
MEMORY_BASE = 0x20000


@dataclass
class Images:
    kernel: ModuleInfo
    program: ModuleInfo
    index: Index
    program_index: Index


def info(number: int, path: Path) -> ModuleInfo:
    code = Module(path.read_bytes()).section(SectionId.CODE)
    assert code is not None
    return ModuleInfo(number, path.stem, path, code.start, code.end - code.start, 0, 0)


@pytest.fixture(scope="module")
def images(guest: Guest) -> Images:
    program = guest.kernel.parent / "debug" / "box.wasm"
    return Images(
        info(0, guest.kernel), info(1, program), Index.open(guest.kernel), Index.open(program)
    )


class Machine(FakeDebugger):
    """One whose innermost frames are where the events say, and whose programs have globals."""

    def pump(self) -> StopEvent | None:
        event = super().pump()
        if event is not None and event.place is not None and event.place.module == 0:
            inner, *others = self.stacks[event.tid]
            self.stacks[event.tid] = [replace(inner, place=event.place), *others]
        return event

    def global_value(self, tid: int, module: int, index: int) -> int | None:
        if module == 1:
            return MEMORY_BASE if tid == CAT else None
        return super().global_value(tid, module, index)


@dataclass
class Rig:
    images: Images
    folder: Path
    debugger: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        guest = self.debugger
        guest.loaded = [self.images.kernel, self.images.program]
        guest.memory = bytearray(16 << 20)
        guest.memory[0x500:0x50A] = b"/etc/motd\0"
        guest.memory[0x600:0x607] = b"/proc/x"
        inner, outer = self.function("do_sys_openat2"), self.function("sys_openat")
        main = self.images.program_index.find_function("main")[0].low
        where = inner + 5
        guest.stacks = {
            tid: [
                Frame(0, Place(0, where), "do_sys_openat2", inner, 2, 0x4000),
                Frame(1, Place(0, outer + 110), "sys_openat", outer, 1, 0x4100),
                Frame(2, Place(1, main + 30), "main", main, 0, 0x4200),
            ]
            for tid in (INIT, CAT)
        } | {IDLE: []}
        guest.locals = {}
        for tid, name in NAMES.items():
            guest.locals |= {(tid, 0, 0): AT_FDCWD, (tid, 0, 1): name, (tid, 0, 3): 0x3000 + tid}
        guest.event = StopEvent(StopReason.ATTACH, CAT, Place(0, where))
        self.listener = Listener("lldb", Address("127.0.0.1", 0), lldb_dialect())
        self.server = Server(guest, [self.listener], wait=True)

    def function(self, name: str) -> int:
        return self.images.index.find_function(name)[0].low

    def body(self, name: str) -> int:
        """Where LLDB puts a breakpoint on a function."""
        return self.images.index.after_prologue(self.images.index.find_function(name)[0])

    def stop(self, reason: StopReason, **more: object) -> StopEvent:
        place = Place(0, self.body("do_sys_openat2"))
        return StopEvent(reason, CAT, place, **more)

    def lldb(self, *commands: str) -> Transcript:
        return drive(self.server, self.listener.address.port, commands, self.folder)


@pytest.fixture
def rig(images: Images, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(images, tmp_path)
    yield rig
    rig.server.close()


def test_attach_finds_modules_and_tasks(rig: Rig) -> None:
    seen = rig.lldb("image list", "thread list", "bt", "detach")
    assert "vmlinux.wasm" in seen["image list"]
    assert "box.wasm" in seen["image list"]
    threads = [line for line in seen["thread list"].splitlines() if "thread #" in line]
    assert len(threads) == 3
    assert "* thread #1: tid = 0x002a" in threads[0]
    assert "name = 'cat/42'" in threads[0]
    assert "name = 'swapper/0/0'" in threads[2]
    assert sum("stop reason" in line for line in threads) == 1
    assert 'do_sys_openat2(dfd=-100, filename="/proc/x"' in seen["bt"]
    assert "sys_openat(regs=" in seen["bt"]
    assert "box.wasm`main(argc=" in seen["bt"]
    assert rig.debugger.detached == 1


def test_values_are_those_of_the_thread_that_is_looked_at(rig: Rig) -> None:
    """LLDB does not say which thread it means when it asks for a wasm local."""
    seen = rig.lldb(
        "thread list",
        "bt all",
        "thread select 1",
        "frame variable filename &op",
        "thread select 2",
        "frame variable filename &op",
        "thread select 1",
        "frame variable -L filename",
        "p filename",
    )
    first, second = seen.all("frame variable filename &op")
    assert '"/proc/x"' in first
    assert "0x00003036" in first  # 0x3000 + 42 + 12
    assert '"/etc/motd"' in second
    assert "0x0000300d" in second
    assert '"/proc/x"' in seen["p filename"]


def test_values_in_every_frame(rig: Rig) -> None:
    """LLDB looks variables up at the innermost frame's pc; and has none in the outermost frames
    if there are inlined functions."""
    index, program = rig.images.index, rig.images.program_index
    outer, main = index.find_function("sys_openat")[0], program.find_function("main")[0]
    inlined = next(n for n in range(outer.low, outer.high) if len(index.inlined_at(n)) > 1)
    depth = len(index.inlined_at(inlined))
    entry, body = main.low, program.after_prologue(main)
    rig.debugger.stacks[CAT][1:] = [
        Frame(1, Place(0, inlined + 1), "sys_openat", outer.low, 1, 0x4100),
        Frame(2, Place(1, body), "main", entry, 0, 0x4200),
    ]
    rig.debugger.locals |= {(CAT, 2, n): 0x2000 + n for n in range(4)}
    seen = rig.lldb("bt", f"frame select {2 + depth}", "frame variable argc argv")
    assert f"frame #{2 + depth}: " in seen["bt"]
    assert f"`main(argc={0x2000}, argv=0x00002001)" in seen["bt"]
    assert "argv = 0x00002001" in seen["frame variable argc argv"]
    assert seen["bt"].count("end_of_stack") == depth


def test_values_that_nobody_knows_are_not_shown(rig: Rig) -> None:
    rig.debugger.locals.clear()
    seen = rig.lldb("frame variable dfd filename fd", "p dfd")
    lines = seen["frame variable dfd filename fd"].splitlines()
    assert sum("is not available" in line for line in lines) == 3
    assert "not available" in seen["p dfd"]


def test_breakpoint(rig: Rig) -> None:
    rig.debugger.script.append(rig.stop(StopReason.BREAKPOINT))
    seen = rig.lldb("b do_sys_openat2", "breakpoint list", "continue")
    assert "Breakpoint 1: where = vmlinux.wasm`do_sys_openat2" in seen["b do_sys_openat2"]
    assert "locations" not in seen["b do_sys_openat2"]
    assert "stop reason = breakpoint 1.1" in seen["continue"]
    assert rig.debugger.resumes == [({}, Action(Resume.CONTINUE))]


def test_breakpoint_condition(rig: Rig) -> None:
    stops = (StopReason.BREAKPOINT, StopReason.STEP, StopReason.PANIC)
    rig.debugger.script += map(rig.stop, stops)  # LLDB steps over the breakpoint before it goes on
    seen = rig.lldb("breakpoint set -n do_sys_openat2 -c 'dfd == 3'", "continue")
    assert "stop reason = panic" in seen["continue"]


def test_breakpoint_without_line_is_on_the_header(rig: Rig) -> None:
    header = rig.function("do_sys_openat2")
    rig.debugger.script.append(StopEvent(StopReason.BREAKPOINT, CAT, Place(0, header)))
    address = 0x4000000000000000 + rig.images.kernel.code_base + header
    seen = rig.lldb(f"breakpoint set -a {address:#x}", "continue")
    assert "stop reason = breakpoint 1.1" in seen["continue"]


def test_pending_breakpoint_in_a_program(rig: Rig) -> None:
    program = rig.debugger.loaded.pop()
    pump = rig.debugger.pump

    def pump_and_load() -> StopEvent | None:
        event = pump()
        if event is not None and event.reason is StopReason.MODULES:
            rig.debugger.loaded.append(program)
        return event

    rig.debugger.pump = pump_and_load
    main = rig.images.program_index.find_function("main")[0]
    place = Place(1, rig.images.program_index.after_prologue(main))
    frame = Frame(0, place, "main", main.low, 0, 0x4200)
    rig.debugger.stacks[INIT] = [frame]
    rig.debugger.script += [
        StopEvent(StopReason.MODULES, CAT, rig.debugger.event.place),
        StopEvent(StopReason.BREAKPOINT, INIT, place),
    ]
    seen = rig.lldb("b main", "continue", "bt")
    assert "pending" in seen["b main"]
    assert "stop reason = breakpoint 1.1" in seen["continue"]
    assert "box.wasm`main" in seen["bt"]
    assert len(rig.debugger.resumes) == 2


def test_watchpoint(rig: Rig) -> None:
    variable = rig.images.index.variable("jiffies_64")
    assert variable is not None
    address = variable.address
    assert address is not None
    # LLDB cuts what it watches into pieces of the size of an address.
    hit = Hit(WatchKind.WRITE, address, 4, address, bytes(4), b"\1\0\0\0")
    rig.debugger.script.append(rig.stop(StopReason.WATCHPOINT, hit=hit))
    pump = rig.debugger.pump

    def pump_and_write() -> StopEvent | None:
        rig.debugger.memory[address] = 1
        return pump()

    rig.debugger.pump = pump_and_write
    seen = rig.lldb("watchpoint set variable jiffies_64", "continue", "watchpoint list")
    assert "Watchpoint created: Watchpoint 1: addr = " in seen["watchpoint set variable jiffies_64"]
    assert "stop reason = watchpoint 1" in seen["continue"]
    assert "new value: 1" in seen["watchpoint list"]


def test_a_step_follows_the_task(rig: Rig) -> None:
    rig.debugger.script.append(rig.stop(StopReason.STEP))
    seen = rig.lldb("thread step-inst")
    assert "stop reason = instruction step into" in seen["thread step-inst"]
    actions, default = rig.debugger.resumes[0]
    assert actions[CAT] == Action(Resume.STEP)
    assert default == Action(Resume.CONTINUE)


def test_interrupt(rig: Rig) -> None:
    seen = rig.lldb("&continue", "!interrupt", "bt")
    assert "stop reason = signal SIGINT" in seen["!interrupt"]
    assert "do_sys_openat2" in seen["bt"]


def test_panic_and_exit(rig: Rig) -> None:
    rig.debugger.script += [
        rig.stop(StopReason.PANIC, message="not syncing: no init"),
        StopEvent(StopReason.EXITED, 0, exit_status=3),
    ]
    first, second = rig.lldb("continue", "continue").all("continue")
    assert "stop reason = panic: not syncing: no init" in first
    assert "exited with status = 3" in second


def test_memory_and_variables_are_written(rig: Rig) -> None:
    seen = rig.lldb(
        "expr jiffies_64 = 0x1122334455667788",
        "p/x jiffies_64",
        "memory write 0x500 0x2f 0x78 0x00",
        "memory read 0x500 0x504",
        "expr dfd = 7",
        "frame variable dfd",
        "memory write 0x4000000000001000 0x00",
    )
    assert seen["p/x jiffies_64"].strip().endswith("0x1122334455667788")
    assert "2f 78 00" in seen["memory read 0x500 0x504"]
    assert rig.debugger.locals[CAT, 0, 0] == 7
    assert "dfd = 7" in seen["frame variable dfd"]
    assert "memory write failed" in seen["memory write 0x4000000000001000 0x00"]


def test_monitor(rig: Rig) -> None:
    seen = rig.lldb("process plugin packet monitor tasks", "process plugin packet monitor fail")
    assert "you said tasks" in seen["process plugin packet monitor tasks"]
    assert "no such command" in seen["process plugin packet monitor fail"]


def test_kill(rig: Rig) -> None:
    rig.lldb("process kill")
    assert rig.debugger.killed


def test_detach_and_attach_again(rig: Rig) -> None:
    rig.lldb("b do_sys_openat2", "detach")
    assert not +rig.debugger.breakpoints
    rig.debugger.script.append(replace(rig.debugger.event, reason=StopReason.INTERRUPT))
    assert "do_sys_openat2" in rig.lldb("bt", "detach")["bt"]
    assert rig.debugger.detached == 2
