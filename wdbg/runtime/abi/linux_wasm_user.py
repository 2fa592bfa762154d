"""User mode of the linux-wasm port: loading programs, entering them, signal handlers.

The flows of wasm_user_mode_tail, as upstream defines them: -1 after execve (the old program's
stack is dropped); bit 0 run the program's __libc_handle_signal on top of the present stack;
bit 1 unwind to the call of that handler (rt_sigreturn).  Unwinding is a wasm exception that the
instrumented wrapper throws and catches (wdbg/instrument/wrappers.py); -2 is our own: the wrapper
says that the handler is gone and user registers are to be restored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wdbg.instrument import layout
from wdbg.runtime.engine import EngineError, Linker, TrapKind
from wdbg.runtime.memory import GuestFault
from wdbg.runtime.probes import ProbeSpaceError
from wdbg.runtime.program import BadProgram, Program
from wdbg.runtime.task import Image, Phase, Task, UserSide

if TYPE_CHECKING:
    from wdbg.runtime.abi.linux_wasm import LinuxWasm
    from wdbg.runtime.machine import Machine

FLOW_EXEC = -1
FLOW_HANDLER_LEFT = layout.TAIL_RETURNED
FLOW_HANDLE = 1
FLOW_UNWIND = 2

ARG_NEW_TLS, ARG_USER_POINTER, ARG_USER_TLS = 1, 2, 3
"""Argument slots of the wrapper: TLS base to set (host to wrapper), and what the kernel's
get_user_stack_pointer and get_user_tls_base say (wrapper to host)."""

USER_TABLE = 4096
"""Entries of a program's function table, as upstream's host makes it."""
PROGRAM_LIMIT = 64 << 20
"""Largest program file, bytes."""
OBSERVERS = (layout.CALL_PROBE, layout.CALL_WATCH, layout.CALL_RING)
"""What guest code calls for an observer, and could as well not call."""
QUERY_TICKS = 1 << 20
"""Ticks lent to a host's question to the guest; they are not part of guest time."""


class UserMode:
    """Programs of one machine."""

    def __init__(self, abi: LinuxWasm, machine: Machine) -> None:
        self._abi = abi
        self._machine = machine
        self._loaded: dict[int, Program] = {}

    # ---- loading ----------------------------------------------------------------------------

    def load(self, start: int, end: int, data: int, table: int) -> Image | None:
        """The program whose file lies at start..end in guest memory; None: not executable."""
        try:
            if not 0 < end - start <= PROGRAM_LIMIT:
                raise BadProgram("program size")
            program = self._abi.programs.load(self._machine.memory.read(start, end - start))
            self._add_stop_points(program, data, table)
        except (BadProgram, GuestFault, ProbeSpaceError):
            self._loaded.pop(start, None)
            return None
        self._loaded[start] = program
        self._abi.codes[program.code.facts.module_name] = (program.label, program.code)
        return Image(program, data, table)

    def _add_stop_points(self, program: Program, data: int, table: int) -> None:
        probes = self._machine.probes
        if probes is None:
            return
        if program.probed is None:
            file = program.debug_file
            name = file.stem if file is not None else program.label
            program.probed = probes.add(name, file, program.code)
        program.probed.data_start = data
        program.probed.table_start = table

    def image_at(self, start: int, end: int, data: int, table: int) -> Image | None:
        """The program that a clone shares with its parent."""
        program = self._loaded.get(start)
        if program is not None:
            return Image(program, data, table)
        return self.load(start, end, data, table)

    # ---- entering ---------------------------------------------------------------------------

    def enter(self, task: Task, *, clone: bool) -> None:
        """ret_from_fork has returned: into the clone's callback, or into a fresh program."""
        self._start(task, clone, self._query(task, "get_user_stack_pointer"))

    def _query(self, task: Task, name: str) -> int:
        """Call a kernel function that neither parks nor counts (its fiber must be free)."""
        function = task.kernel.export(name)
        if function is None:
            return 0
        mailbox = self._machine.mailbox
        kept, kept_cut, kept_word = task.get_tick(), mailbox.cut.value, mailbox.tick.value
        mailbox.cut.value = 0
        task.set_tick(QUERY_TICKS)
        task.fiber.start(function)
        finished = task.fiber.poll()
        while not finished and mailbox.call.value in OBSERVERS:
            mailbox.result.value = 0  # somebody steps, or watches: the question is none of his
            finished = task.fiber.poll()
        task.fiber.drop()
        task.set_tick(kept)
        mailbox.cut.value, mailbox.tick.value = kept_cut, kept_word
        return task.fiber.result & 0xFFFFFFFF if finished and task.fiber.trap is None else 0

    def _start(self, task: Task, clone: bool, stack_pointer: int) -> None:
        tls = self._query(task, "get_user_tls_base") if clone else 0
        task.fiber.drop()
        try:
            task.user = self._instantiate(task, stack_pointer)
        except (BadProgram, EngineError):
            self._abi.kill(task, int(TrapKind.UNREACHABLE))
            return
        user = task.user
        task.calls = []
        if self._machine.tracer is not None and not clone:
            self._machine.tracer.executed(task)
        if clone:
            # The data is the parent's and is in use: relocations were applied to it long ago.
            if user.set_tls_base is not None:
                task.calls.append((user.set_tls_base, (tls,)))
            entries = ["__libc_clone_callback"]
        else:
            entries = ["__wasm_apply_data_relocs", "__wasm_call_ctors", "_start"]
        if self._machine.on_exec is not None and not clone:
            self._machine.on_exec(task)
        start = task.image.program.code.facts.start if task.image is not None else None
        if start is not None:
            # The start function initialises memory once, under a guard of its own.
            entries.insert(0, start)
        for name in entries:
            function = user.instance.export(name)
            if function is not None:
                task.calls.append((function, ()))
        task.phase = Phase.USER
        self.next_call(task)

    def next_call(self, task: Task) -> None:
        """Go on with the program's next entry; one that is through all of them has no right to."""
        if not task.calls:
            self._abi.kill(task, int(TrapKind.UNREACHABLE))
            return
        function, args = task.calls.pop(0)
        task.call(function, args)

    def _instantiate(self, task: Task, stack_pointer: int) -> UserSide:
        image, fiber, kernel, machine = task.image, task.fiber, task.kernel, self._machine
        if image is None:
            raise BadProgram("no program")
        pointer = fiber.new_global(stack_pointer, mutable=True)
        items = {
            ("env", "__stack_pointer"): pointer,
            ("env", "__memory_base"): fiber.new_global(image.data_start, mutable=False),
            ("env", "__table_base"): fiber.new_global(image.table_start, mutable=False),
            ("env", "__wasm_abort"): kernel.export(layout.TRAP_EXPORT),
            (layout.MODULE, layout.PROGRAM_TICK): kernel.export(layout.TICK_EXPORT),
            (layout.MODULE, layout.PROGRAM_SLOW): kernel.export(layout.USER_TICK_EXPORT),
        }
        if image.program.probed is not None:
            base = fiber.new_global(image.program.probed.base, mutable=False)
            items[layout.MODULE, layout.PROGRAM_PROBES] = base
        linker = Linker(machine.engine)
        for module, name in image.program.imports:
            if (module, name) == ("env", "memory"):
                linker.define_memory(fiber.store, module, name, machine.shared)
            elif (module, name) == (layout.MODULE, layout.DEBUG_MEMORY):
                linker.define_memory(fiber.store, module, name, machine.mailbox.memory)
            elif (module, name) == ("env", "__indirect_function_table"):
                linker.define(fiber.store, module, name, fiber.new_table(USER_TABLE))
            else:
                item = items.get((module, name))
                if item is None and module == "env" and name.startswith("__wasm_syscall_"):
                    item = kernel.export(name[2:])
                elif item is None and module == layout.MODULE:
                    item = kernel.export(name)
                if item is None:
                    raise BadProgram(f"imports {module}.{name}")
                linker.define(fiber.store, module, name, item)
        instance = fiber.instantiate(linker, image.program.module)
        hooks = kernel.export(layout.HOOKS_EXPORT)
        handle = instance.export("__libc_handle_signal")
        tls_base = instance.export("__set_tls_base")
        if hooks is not None:
            signal_slot, tls_slot = layout.HOOK_SIGNAL_HANDLER, layout.HOOK_SET_TLS
            for slot, function in ((signal_slot, handle), (tls_slot, tls_base)):
                if function is not None:
                    hooks.set(fiber.store, slot, function)
        return UserSide(instance, pointer, tls_base, handle)

    # ---- wasm_user_mode_tail ----------------------------------------------------------------

    def tail(self, task: Task, flow: int) -> None:
        """Answer one flow; see the module."""
        machine = self._machine
        pointer = machine.mailbox.argument(ARG_USER_POINTER)
        if flow == FLOW_EXEC:
            self._start(task, False, pointer)
            return
        user = task.user
        if user is None:
            task.answer = 0
            return
        if flow == FLOW_HANDLER_LEFT:
            task.fiber.set_global(user.stack_pointer, pointer)
            task.answer = self._tls_answer(user)
            if task.redo_signal:
                task.redo_signal = False
                task.answer |= layout.TAIL_RUN_HANDLER
            return
        if flow & FLOW_UNWIND:
            task.redo_signal = bool(flow & FLOW_HANDLE)
            task.answer = layout.TAIL_UNWIND
        elif flow & FLOW_HANDLE and user.handle_signal is not None:
            task.fiber.set_global(user.stack_pointer, pointer)
            task.answer = layout.TAIL_RUN_HANDLER | self._tls_answer(user)
        elif flow & FLOW_HANDLE:
            self._abi.kill(task, int(TrapKind.UNREACHABLE))
        else:
            task.answer = 0

    def _tls_answer(self, user: UserSide) -> int:
        """Ask the wrapper to set the thread's TLS base, if the program has one."""
        if user.set_tls_base is None:
            return 0
        tls = self._machine.mailbox.argument(ARG_USER_TLS)
        self._machine.mailbox.set_argument(ARG_NEW_TLS, tls)
        return layout.TAIL_SET_TLS
