"""Debian's GDB on a guest that is none: the real kernel's symbols, frames made up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from symbols.dwarf.index import Index
from symbols.shadow.build import shadow_elf
from symbols.wasm import Module
from symbols.wasm.container import SectionId
from tests.clients.gdb import Transcript, drive
from tests.gdbstub.fake import CAT, IDLE, INIT, FakeDebugger
from tests.gdbstub.peer import Peer, turn_once
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
from wdbg.gdbstub.gdb.dialect import gdb_dialect
from wdbg.gdbstub.listener import Address, Listener
from wdbg.gdbstub.server import Server

NAME = 0x500
AT_FDCWD = 0xFFFFFF9C


@dataclass
class Kernel:
    info: ModuleInfo
    elf: Path
    index: Index


@pytest.fixture(scope="module")
def kernel(guest_kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    module = Module(guest_kernel.read_bytes())
    code = module.section(SectionId.CODE)
    assert code is not None
    elf = tmp_path_factory.mktemp("shadow") / "vmlinux.elf"
    elf.write_bytes(shadow_elf(module))
    info = ModuleInfo(0, "vmlinux", guest_kernel, code.start, code.end - code.start, 0, 0)
    return Kernel(info, elf, Index.open(guest_kernel))


@dataclass
class Rig:
    kernel: Kernel
    log: Path
    debugger: FakeDebugger = field(default_factory=FakeDebugger)
    packets: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        guest = self.debugger
        guest.loaded = [self.kernel.info]
        guest.memory = bytearray(16 << 20)
        guest.memory[NAME : NAME + 10] = b"/etc/motd\0"
        inner, outer = self.function("do_sys_openat2"), self.function("sys_openat")
        guest.stacks = {
            CAT: [
                Frame(0, Place(0, inner), "do_sys_openat2", inner, 1, 0x4000),
                Frame(1, Place(0, outer + 150), "sys_openat", outer, 0, 0x4100),
            ],
            INIT: [],
            IDLE: [],
        }
        guest.locals = {(CAT, 0, 0): AT_FDCWD, (CAT, 0, 1): NAME, (CAT, 1, 0): AT_FDCWD}
        guest.event = StopEvent(StopReason.ATTACH, CAT, Place(0, inner))
        self.listener = Listener("gdb", Address("127.0.0.1", 0), gdb_dialect(self._shadow))
        self.server = Server(guest, [self.listener], wait=True, packet_log=self._record)

    def _shadow(self, module: ModuleInfo) -> Path | None:
        return self.kernel.elf if module.number == 0 else None

    def _record(self, name: str, way: str, payload: bytes) -> None:
        self.packets.append((way, payload))

    def function(self, name: str) -> int:
        return self.kernel.index.find_function(name)[0].low

    def body(self, name: str) -> int:
        index = self.kernel.index
        return index.after_prologue(index.find_function(name)[0])

    def gdb(self, *commands: str) -> Transcript:
        return drive(self.server, self.listener.address.port, commands, self.log)


@pytest.fixture
def rig(kernel: Kernel, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(kernel, tmp_path / "gdb.txt")
    yield rig
    rig.server.close()


@pytest.fixture
def stop(rig: Rig) -> Callable[..., StopEvent]:
    def make(reason: StopReason, offset: int | None = None, **more: object) -> StopEvent:
        place = Place(0, rig.body("do_sys_openat2") if offset is None else offset)
        return StopEvent(reason, CAT, place, **more)

    return make


def test_attach_finds_the_kernel_and_its_tasks(rig: Rig) -> None:
    seen = rig.gdb("info threads", "bt", "detach")
    threads = seen["info threads"].splitlines()
    assert '* 1    Thread 42 "cat" (pid 42, S (sleeping))' in threads[1]
    assert 'Thread 1 "init" (pid 1, on CPU 0, running)' in threads[2]
    assert '"swapper/0" (idle task of CPU 0)' in threads[3]
    assert seen["bt"].startswith("#0  do_sys_openat2 (dfd=-100, filename=0x500")
    assert '"/etc/motd"' in seen["bt"]
    assert " in do_sys_open (dfd=-100, filename=<optimized out>" in seen["bt"]
    assert "sys_openat (regs=" in seen["bt"]
    assert seen["detach"] == ""
    assert rig.debugger.detached == 1


def test_values_that_nobody_knows_are_not_shown(rig: Rig) -> None:
    seen = rig.gdb("p filename", "p how", "p $eax", "p/x $ebp == $esp", "p dfd", "info registers")
    assert seen["p filename"].endswith('"/etc/motd"\n')
    assert seen["p dfd"].endswith(" = -100\n")
    assert "Cannot access memory" in seen["p how"]
    assert seen["p $eax"].endswith(" = <unavailable>\n")
    assert "tick " in seen["info registers"]


def test_breakpoint(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    place = rig.body("do_sys_openat2")
    rig.debugger.script.append(stop(StopReason.BREAKPOINT))
    seen = rig.gdb("break do_sys_openat2", "continue", "p $pc", "info breakpoints")
    assert "hit Breakpoint 1, do_sys_openat2 (dfd=-100, filename=0x500" in seen["continue"]
    assert "already hit 1 time" in seen["info breakpoints"]
    assert rig.debugger.resumes == [({}, Action(Resume.CONTINUE))]
    assert any(packet.startswith(b"Z0,%x," % (0xC0000000 + place)) for _, packet in rig.packets)


def test_condition_is_evaluated_here(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    rig.debugger.script += [stop(StopReason.BREAKPOINT)] * 5 + [stop(StopReason.PANIC)]
    seen = rig.gdb("break do_sys_openat2 if dfd == 3", "continue")
    assert "SIGABRT" in seen["continue"]
    assert len(rig.debugger.resumes) == 6
    assert rig.packets.count(("<-", b"vCont;c")) == 1


def test_condition_that_holds(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    rig.debugger.script.append(stop(StopReason.BREAKPOINT))
    condition = "dfd == -100 && filename[1] == 101"
    seen = rig.gdb(f"break do_sys_openat2 if {condition}", "continue")
    assert "Breakpoint 1, do_sys_openat2" in seen["continue"]


def test_watchpoint(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    variable = rig.kernel.index.variable("jiffies_64")
    assert variable is not None
    address = variable.address
    assert address is not None
    hit = Hit(WatchKind.WRITE, address, 8, address, bytes(8), b"\1" + bytes(7))
    rig.debugger.script.append(stop(StopReason.WATCHPOINT, hit=hit))
    pump = rig.debugger.pump

    def pump_and_write() -> StopEvent | None:
        rig.debugger.memory[address] = 1
        return pump()

    rig.debugger.pump = pump_and_write
    seen = rig.gdb("watch jiffies_64", "continue")
    assert "Hardware watchpoint 1: jiffies_64" in seen["watch jiffies_64"]
    assert "Old value = 0\nNew value = 1\n" in seen["continue"]


def test_steps_follow_the_task(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    rig.debugger.script += [stop(StopReason.STEP), stop(StopReason.STEP)]
    rig.gdb("stepi", "set scheduler-locking on", "stepi")
    step = Action(Resume.STEP)
    assert rig.debugger.resumes == [
        ({CAT: step}, Action(Resume.CONTINUE)),
        ({CAT: step}, Action(Resume.STOPPED)),
    ]


def test_a_line_is_stepped_by_range(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    rig.debugger.script.append(stop(StopReason.STEP))
    rig.gdb("next")
    actions, default = rig.debugger.resumes[0]
    assert actions[CAT].how is Resume.RANGE
    assert actions[CAT].start <= rig.function("do_sys_openat2") < actions[CAT].end
    assert default == Action(Resume.CONTINUE)


def test_panic(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    message = "Kernel panic - not syncing: no init"
    rig.debugger.script.append(stop(StopReason.PANIC, message=message))
    seen = rig.gdb("continue")
    assert f"wdbg: {message}\n" in seen["continue"]
    assert "received signal SIGABRT" in seen["continue"]


def test_exit(rig: Rig) -> None:
    rig.debugger.script.append(StopEvent(StopReason.EXITED, 0, exit_status=3))
    assert "exited with code 03" in rig.gdb("continue")["continue"]


def test_memory_and_locals_are_written(rig: Rig) -> None:
    seen = rig.gdb(
        "set var jiffies_64 = 0x1122334455667788",
        "p/x jiffies_64",
        "set var dfd = 7",
        "p dfd",
        "set var $eax = 1",
        "p $_strlen(filename)",
        "find 0x400, 0x600, 'm', 'o', 't', 'd'",
    )
    assert seen["p/x jiffies_64"] == "$1 = 0x1122334455667788\n"
    assert seen["p dfd"] == "$2 = 7\n"
    assert rig.debugger.locals[CAT, 0, 0] == 7
    assert "registers cannot be written" in seen["set var $eax = 1"]
    assert "0x505" in seen["find 0x400, 0x600, 'm', 'o', 't', 'd'"]


def test_monitor(rig: Rig) -> None:
    seen = rig.gdb("monitor tasks", "monitor fail")
    assert seen["monitor tasks"] == "you said tasks\n"
    assert seen["monitor fail"] == "no such command\n"


def test_thousands_of_breakpoints(rig: Rig, stop: Callable[..., StopEvent], tmp_path: Path) -> None:
    functions = sorted({function.low for function in rig.kernel.index.functions()})[:2000]
    script = tmp_path / "many.gdb"
    script.write_text("".join(f"break *{0xC0000000 + low:#x}\n" for low in functions))
    rig.debugger.script.append(stop(StopReason.INTERRUPT))
    seen = rig.gdb(f"source {script}", "continue")
    assert "SIGINT" in seen["continue"]
    inserted = [packet for _, packet in rig.packets if packet.startswith(b"Z0,")]
    assert len(inserted) == len(functions)


def test_breakpoint_in_data(rig: Rig, stop: Callable[..., StopEvent]) -> None:
    rig.debugger.script.append(stop(StopReason.INTERRUPT))
    seen = rig.gdb("break *0x500", "continue", "delete", "continue")
    assert "Cannot insert breakpoint 1" in seen.all("continue")[0]
    assert "SIGINT" in seen.all("continue")[1]


def test_second_gdb_is_told(rig: Rig, tmp_path: Path) -> None:
    first = Peer(rig.listener.address.port, turn_once(rig.server))
    assert first.ask("qC") == b"QC2a"
    seen = drive(rig.server, rig.listener.address.port, ["info threads"], rig.log)
    assert "another client is attached to this port" in seen.text
    assert first.ask("qC") == b"QC2a"
    first.close()
    assert "cat" in rig.gdb("info threads")["info threads"]


def test_kill(rig: Rig) -> None:
    rig.gdb("kill")
    assert rig.debugger.killed
