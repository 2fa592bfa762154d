"""The host interface of the linux-wasm port and of our example guest (docs/host-interface.md).

Host calls by name: CPUs and tasks, console, clock events, stop and panic, stack traces.
Loading and entering user programs, and their signals, are in `linux_wasm_user`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.result import FunctionTable
from wdbg.runtime.abi.linux_wasm_user import UserMode
from wdbg.runtime.atomics import wake_waiters
from wdbg.runtime.backtrace import Frame, original_frames
from wdbg.runtime.engine import (
    PAGE,
    Fiber,
    RawFrame,
    backtrace_at_park,
    unwatch_parks,
    watch_parks,
)
from wdbg.runtime.kernel import Kernel
from wdbg.runtime.program import Programs
from wdbg.runtime.stop import Stop, StopKind
from wdbg.runtime.task import Phase, Task

if TYPE_CHECKING:
    from wdbg.runtime.cpu import Cpu
    from wdbg.runtime.machine import Machine

IRQ_TIMER = 1
IRQ_CONSOLE = 2
IRQ_STRIDE = 64
"""Bytes between the interrupt words of two CPUs at `wasm_cpu_irq`."""

ENOSYS = -38
LEAST_MEMORY = 16 << 20
"""The kernel does not start with less to grow into, bytes."""
UPSTREAM_COMMAND_LINE, UPSTREAM_CPUS = 512, 64
OUR_COMMAND_LINE, OUR_CPUS = 4096, 32
"""COMMAND_LINE_SIZE and NR_CPUS of the two kernels."""

PORT = Port(
    name="linux-wasm",
    clock_import="wasm_cpu_clock_get_monotonic",
    user_tail_import="wasm_user_mode_tail",
    irq_entry="wasm_irq_entry",
    user_irq_entry="wasm_user_irq",
    user_stack_pointer="get_user_stack_pointer",
    user_tls_base="get_user_tls_base",
    # They run before the task's stack and current pointer are set, or before the interrupt
    # entry has turned interrupts off: an injection there would recurse or corrupt.
    uninjected=frozenset(
        {
            "_start", "_start_secondary", "ret_from_fork", "wasm_task_ksp", "wasm_cpu_relax",
            "wasm_irq_entry", "wasm_user_irq", "wasm_handle_irqs", "wasm_poll_irqs",
            "__wasm_init_memory", "get_user_stack_pointer", "get_user_tls_base",
        }
    ),
)  # fmt: skip

_STOPS = {0: StopKind.HALT, 1: StopKind.POWER_OFF, 2: StopKind.RESTART}


class LinuxWasm:
    """See the module; `Abi` says what each public method is for."""

    name = "linux-wasm"
    port = PORT

    def __init__(self, kernel: Kernel, programs: Programs) -> None:
        self.kernel = kernel
        self.programs = programs
        self.machine: Machine
        self.user: UserMode
        self.codes: dict[str, tuple[str, Any]] = {kernel.code.facts.module_name: ("", kernel.code)}
        """What backtraces can name: engine module name to (shown name, code)."""
        self._irq_words = 0
        self._has_interrupts = False
        self._raw_stack: tuple[RawFrame, ...] = ()
        self._walkers: dict[int, Callable[[Any], tuple[RawFrame, ...]]] = {}
        self.handlers: list[Callable[[Cpu, Task], None]] = []
        """By number of the imported function."""
        self._running: Task | None = None
        missing = []
        for call in kernel.code.facts.calls:
            handler = getattr(self, "_" + call.name, None)
            if call.module != "env" or (handler is None and not call.name.startswith("sys_")):
                missing.append(f"{call.module}.{call.name}")
                continue
            self.handlers.append(handler or self._unconfigured)
        if missing:
            raise BadInput(
                f"{kernel.path}: asks the host for {len(missing)} functions that the linux-wasm "
                f"interface does not have: {', '.join(missing[:8])}"
                + (", ..." if len(missing) > 8 else ""),
                "wdbg doctor KERNEL shows the module's interface",
            )

    # ---- start ------------------------------------------------------------------------------

    def attach(self, machine: Machine) -> None:
        """Set up what all kernel instances share."""
        self.machine = machine
        self.user = UserMode(self, machine)
        machine.linker.define_park(layout.MODULE, layout.PARK)
        first = Fiber(machine.engine)
        wanted = self.kernel.memory
        machine.linker.define_memory(first.store, wanted.module, wanted.name, machine.shared)
        machine.linker.define_memory(
            first.store, layout.MODULE, layout.DEBUG_MEMORY, machine.mailbox.memory
        )
        self._first = first
        self.observe_parks()

    def observe_parks(self) -> None:
        """See Abi."""
        machine = self.machine
        watched = frozenset(
            layout.CALL_IMPORT + number
            for number, call in enumerate(self.kernel.code.facts.calls)
            if call.name in ("wasm_dump_stacktrace", "wasm_stack_save", "wasm_panic")
        )

        def observe(caller: Any) -> None:
            self._raw_stack = self._walk(caller)

        watch_parks(machine.mailbox.call, watched, observe)

    def boot(self, command_line: str, initrd: bytes | None, cpus: int) -> None:
        """Command line, initrd and CPU 0, in the order that upstream's own host keeps."""
        machine = self.machine
        task = self._new_task(0, "swapper/0", self._first)
        kernel = task.kernel
        addresses = {
            name: kernel.global_value(name)
            for name in ("init_task", "boot_command_line", "initrd_start", "initrd_end")
        }
        absent = [name for name, value in addresses.items() if value is None]
        if absent or kernel.export("_start") is None:
            raise BadInput(f"{self.kernel.path}: does not export {', '.join(absent or ['_start'])}")
        irq = kernel.global_value("wasm_cpu_irq")
        self._has_interrupts = irq is not None
        self._irq_words = (irq or 0) >> 2
        text = f"{'nr_cpus' if irq is not None else 'maxcpus'}={cpus} {command_line}".strip()
        limit = OUR_COMMAND_LINE if irq is not None else UPSTREAM_COMMAND_LINE
        most = OUR_CPUS if irq is not None else UPSTREAM_CPUS
        if cpus > most:
            raise BadInput(f"{cpus} CPUs are too many for this kernel: it has room for {most}")
        raw = text.encode()
        if len(raw) >= limit:
            raise BadInput(f"kernel command line: {len(raw)} bytes, {limit - 1} are possible")
        machine.memory.write(addresses["boot_command_line"] or 0, raw + b"\0")
        if initrd is not None:
            start = machine.memory.size()
            machine.shared.grow((len(initrd) + PAGE - 1) // PAGE)
            machine.memory.write(start, initrd)
            machine.memory.write_u32(addresses["initrd_start"] or 0, start)
            machine.memory.write_u32(addresses["initrd_end"] or 0, start + len(initrd))
        task.pointer = addresses["init_task"] or 0
        machine.add_task(task)
        task.phase = Phase.CPU
        task.call(kernel.export("_start"))
        machine.start_cpu(0, task)

    def _new_task(self, pointer: int, name: str, fiber: Fiber | None = None) -> Task:
        machine = self.machine
        fiber = fiber or Fiber(machine.engine)
        instance = fiber.instantiate(machine.linker, self.kernel.module)
        fiber.instance = instance
        return Task(pointer, name, fiber, instance)

    # ---- what the machine asks --------------------------------------------------------------

    def interrupt_pending(self, cpu: int) -> bool:
        """The CPU's interrupt word is not 0."""
        return bool(
            self._has_interrupts
            and self.machine.memory.words[self._irq_words + cpu * (IRQ_STRIDE >> 2)]
        )

    def raise_interrupt(self, cpu: int, irq: int) -> None:
        """Set a bit of the CPU's interrupt word and wake the CPU if it waits on that word."""
        if not self._has_interrupts:
            return
        index = self._irq_words + cpu * (IRQ_STRIDE >> 2)
        memory = self.machine.memory
        if memory.on_write is not None:
            memory.on_write(index << 2, 4)
        memory.words[index] |= 1 << irq
        wake_waiters(self.machine, index << 2, 1)

    def raise_timer(self, cpu: int) -> None:
        """The interrupt that wasm_timer_program asked for."""
        self.raise_interrupt(cpu, IRQ_TIMER)

    def console_ready(self) -> None:
        """Our guest takes an interrupt; upstream's polls."""
        self.raise_interrupt(0, IRQ_CONSOLE)

    def returned(self, cpu: Cpu, task: Task) -> None:
        """A kernel entry, a user function or raise_exception has come to its end."""
        fiber = task.fiber
        if fiber.trap is not None:
            self._trapped(task)
        elif task.phase is Phase.KERNEL:
            self.user.enter(task, clone=bool(fiber.result))
        elif task.phase is Phase.USER:
            self.user.next_call(task)
        else:
            what = "raise_exception" if task.phase is Phase.DYING else "the kernel's entry function"
            self.machine.end(Stop(StopKind.TRAP, f"{what} returned in {task.name}"))

    def _trapped(self, task: Task) -> None:
        trap = task.fiber.trap
        assert trap is not None
        frames = original_frames(trap.frames, self.codes)
        tick = self.machine.ticks
        stop = Stop(
            StopKind.TRAP, f"{trap.message} in {task.name}", frames, tick=tick, task=task.pointer
        )
        raise_exception = task.kernel.export("raise_exception")
        if task.phase is Phase.DYING or raise_exception is None:
            self.machine.end(stop)
            return
        if not frames or not frames[0].module:
            self.machine.trapped(stop)
        self.kill(task, int(trap.kind), frames)

    def kill(self, task: Task, kind: int, frames: tuple[Frame, ...] = ()) -> None:
        """Have the guest deal with a trap of `task`: a fatal signal, or an oops."""
        address = task.kernel.global_value("wasm_trap_code")
        if address is not None:
            self.machine.memory.write_u32(address, kind)
        task.frames = frames
        task.phase = Phase.DYING
        task.calls.clear()
        task.call(task.kernel.export("raise_exception"))

    # ---- stacks -----------------------------------------------------------------------------

    def _walk(self, caller: Any) -> tuple[RawFrame, ...]:
        task = self.machine.running
        if task is None:
            return ()
        walker = self._walkers.get(task.pointer)
        if walker is None:
            walker = backtrace_at_park(task.kernel.export(layout.TRAP_EXPORT))  # type: ignore[arg-type]
            self._walkers[task.pointer] = walker
        return walker(caller)

    def stack(self) -> tuple[Frame, ...]:
        """Stack of the task that is parked in a stack-reading host call, innermost first."""
        return original_frames(self._raw_stack, self.codes)

    def functions(self) -> FunctionTable:
        """Names and places, read from the cache."""
        return self.kernel.code.instrumented.functions

    def backtrace(self, task: Task) -> tuple[Frame, ...]:
        """Stack of any parked task, running or asleep; read in a forked copy of the machine."""

        def trap_there() -> list[tuple[str, int, int, int, str]]:
            self.machine.mailbox.trap.value = 1
            unwatch_parks()
            if not task.fiber.poll() or task.fiber.trap is None:
                return []
            frames = original_frames(task.fiber.trap.frames, self.codes)
            return [(f.function, f.code_offset, f.offset, f.size, f.module) for f in frames]

        if not task.fiber.suspended or task.fresh:
            return ()
        return tuple(Frame(*fields) for fields in self.machine.in_fork(trap_there))

    def _put_text(self, address: int, size: int, frames: tuple[Frame, ...]) -> None:
        text = "\n".join(map(str, frames)).encode()[: max(size - 1, 0)]
        if size > 0:
            self.machine.memory.write(address, text + b"\0")

    # ---- host calls (named as the imports, with a leading underscore) --------------------------

    def _unconfigured(self, cpu: Cpu, task: Task) -> None:
        task.answer = ENOSYS

    def _wasm_cpu_clock_get_monotonic(self, cpu: Cpu, task: Task) -> None:
        task.answer = self.machine.now()

    def _wasm_create_and_run_task(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        prev, new, name, start, end, data, table = (machine.mailbox.argument(i) for i in range(7))
        child = self._new_task(new, machine.memory.read_string(name, 16))
        if start:
            child.image = self.user.image_at(start, end, data, table)
        machine.add_task(child)
        child.call(child.kernel.export("ret_from_fork"), (prev, new))
        machine.switch(cpu, child)

    def _wasm_serialize_tasks(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        words = machine.mailbox.words  # every context switch comes here
        other = machine.tasks.get(words[2])
        if other is None:
            machine.end(Stop(StopKind.TRAP, f"switch to an unknown task {words[2]:#x}"))
            return
        other.answer = words[0]
        machine.switch(cpu, other)

    def _wasm_release_task(self, cpu: Cpu, task: Task) -> None:
        pointer = self.machine.mailbox.argument(0)
        self._walkers.pop(pointer, None)
        self.machine.remove_task(pointer)
        task.answer = 0

    def _wasm_start_cpu(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        number, idle, stack = (machine.mailbox.argument(i) for i in range(3))
        new = self._new_task(idle, f"swapper/{number}")
        new.phase = Phase.CPU
        machine.add_task(new)
        new.call(new.kernel.export("_start_secondary"), (stack,))
        task.answer = 0
        machine.start_cpu(number, new)

    def _wasm_stop_cpu(self, cpu: Cpu, task: Task) -> None:
        task.answer = 0
        self.machine.stop_cpu(self.machine.mailbox.argument(0))

    def _wasm_timer_program(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        number, expiry = machine.mailbox.argument(0), machine.mailbox.long_argument(1)
        machine.set_timer(machine.cpu(number), expiry)
        task.answer = 0

    def _wasm_cpu_yield(self, cpu: Cpu, task: Task) -> None:
        # The CPU spins for something that only another CPU can do: let that one have its turn.
        task.answer = 0
        self.machine.end_quantum(yielded=True)

    def _wasm_panic(self, cpu: Cpu, task: Task) -> None:
        message = self.machine.memory.read_string(self.machine.mailbox.argument(0))
        self.machine.end(Stop(StopKind.PANIC, message.strip(), self.stack()))

    def _wasm_machine_stop(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        how, text = machine.mailbox.argument(0), machine.mailbox.argument(1)
        command = machine.memory.read_string(text) if text else ""
        code = None
        if command.startswith("exit=") and command[5:].isdigit():
            code = int(command[5:]) & 0xFF
        machine.end(Stop(_STOPS.get(how, StopKind.HALT), command, exit_code=code))

    def _wasm_driver_hvc_put(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        address, count = machine.mailbox.argument(0), machine.mailbox.argument(1)
        machine.console_output(machine.memory.read(address, count))
        task.answer = count

    def _wasm_driver_hvc_get(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        address, count = machine.mailbox.argument(0), machine.mailbox.argument(1)
        machine.memory.check(address, count)
        data = machine.inputs.read(count)
        machine.memory.write(address, data)
        task.answer = len(data)

    def _wasm_console_winsize(self, cpu: Cpu, task: Task) -> None:
        rows, columns = self.machine.inputs.window
        task.answer = (rows & 0x7FFF) << 16 | columns & 0xFFFF

    def _wasm_dump_stacktrace(self, cpu: Cpu, task: Task) -> None:
        frames = task.frames if task.phase is Phase.DYING and task.frames else self.stack()
        self._put_text(self.machine.mailbox.argument(0), self.machine.mailbox.argument(1), frames)
        task.answer = 0

    def _wasm_dump_task(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        other = machine.tasks.get(machine.mailbox.argument(0))
        frames = self.backtrace(other) if other is not None else ()
        self._put_text(machine.mailbox.argument(1), machine.mailbox.argument(2), frames)
        task.answer = int(bool(frames))

    def _wasm_stack_save(self, cpu: Cpu, task: Task) -> None:
        machine = self.machine
        address, room = machine.mailbox.argument(0), machine.mailbox.argument(1)
        offsets = [f.code_offset for f in self.stack() if not f.module][:room]
        raw = b"".join(offset.to_bytes(4, "little") for offset in offsets)
        machine.memory.write(address, raw)
        task.answer = len(offsets)

    def _wasm_load_executable(self, cpu: Cpu, task: Task) -> None:
        start, end, data, table = (self.machine.mailbox.argument(i) for i in range(4))
        task.image = self.user.load(start, end, data, table)
        task.answer = 0

    def _wasm_user_mode_tail(self, cpu: Cpu, task: Task) -> None:
        self.user.tail(task, self.machine.mailbox.signed_argument(0))
