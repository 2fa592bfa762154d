"""Rewrites a kernel or a user program for the fiber runtime.

Kernel: every imported function becomes a wrapper around the one import "wdbg" "park". The wrapper
of import i > 0 takes the index i itself, so only references to function 0 change. Programs import
the tick counter, its slow path and the wait functions from the kernel instance of their task.
"""

from __future__ import annotations

from symbols.wasm.container import write_name
from symbols.wasm.leb import encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.types import FuncType, Kind, ValueType
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.additions import Additions
from wdbg.instrument.assemble import assemble, raw_import
from wdbg.instrument.cuts import CutPass
from wdbg.instrument.emit import function as code_entry
from wdbg.instrument.emit import i32_const, op
from wdbg.instrument.mailbox import Mailbox
from wdbg.instrument.original import (
    check_fresh,
    exported_function,
    exports_global,
    find_stack_pointer,
    function_names,
    function_table,
    has_waits,
    make_facts,
    module_name,
)
from wdbg.instrument.port import Port
from wdbg.instrument.probes import ProbePass
from wdbg.instrument.record import record_passes
from wdbg.instrument.renumber import Renumbering, RenumberPass
from wdbg.instrument.result import Instrumented
from wdbg.instrument.sampling import SamplePass
from wdbg.instrument.sweep import Pass, Progress, sweep
from wdbg.instrument.ticks import TickPass
from wdbg.instrument.variant import Variant
from wdbg.instrument.waits import WaitPass
from wdbg.instrument.watch import WatchPass

I32, I64 = ValueType.I32, ValueType.I64
_INIT_MEMORY = "__wasm_init_memory"
"""Copies passive data segments when an instance is made; waits and notifies only threads."""


def instrument_kernel(
    data: bytes, variant: Variant, port: Port, progress: Progress | None = None
) -> Instrumented:
    """Rewrite a kernel.

    Raises SymbolsError if the module is malformed, BadInput if it is not one that can be run:
    rewritten already, a memory of its own, or exports with other signatures than the port says.
    """
    module = Module(data)
    check_fresh(module)
    imports = module.imports
    memories = [e for e in imports if e.kind is Kind.MEMORY]
    if not memories:
        raise BadInput("the module imports no memory", "link the kernel with --import-memory")
    if len(module.memories) > len(memories):
        raise BadInput("the module defines a memory of its own")
    if any(memory.index64 for memory in module.memories):
        raise BadInput("64-bit memories are not supported")
    functions = [e for e in imports if e.kind is Kind.FUNCTION]
    signatures = [module.types[module.function_types[i]] for i in range(len(functions))]
    total = len(module.function_types)
    grown = 0 if functions else 1
    add = Additions(module, total + grown)
    names = function_names(module)
    stack = find_stack_pointer(module, port)
    tick = add.i32_global()
    box = Mailbox(add, len(memories), 0, tick, stack)

    initial = {i for i, name in names.items() if name == _INIT_MEMORY}
    if module.start is not None:
        initial.add(module.start)
    recorder = None
    if variant.recording is not None:
        recorder = record_passes(module, box, variant.recording, port, names, frozenset(initial))

    wrappers: list[bytes] = []
    moved: dict[int, int] = {}
    hooks = add.funcref_table(layout.HOOKS)
    for number, (entry, kind) in enumerate(zip(functions, signatures, strict=True)):
        local_types: tuple[ValueType, ...] = ()
        if entry.name == port.clock_import and kind == FuncType((), (I64,)):
            body = box.clock_body()
        elif entry.name == port.user_tail_import and kind == FuncType((I32,), ()):
            body, local_types = box.tail_body(
                number,
                hooks,
                exported_function(module, port.user_stack_pointer, FuncType((), (I32,))),
                exported_function(module, port.user_tls_base, FuncType((), (I32,))),
            )
        else:
            body = box.import_body(number, entry.name, kind)
            if recorder is not None:
                prelude = recorder.spans.import_prelude(entry.name, kind, len(kind.params))
                if prelude:
                    body, local_types = prelude + body, (I32,)
        if number:
            wrappers.append(code_entry(body, local_types))
        else:
            moved[0] = add.function(entry.name, kind.params, kind.results, body, local_types)
    renumbering = Renumbering(moved, 0, grown)

    irq = exported_function(module, port.irq_entry, FuncType((), ()))
    user_irq = exported_function(module, port.user_irq_entry, FuncType((I32,), ()))
    new = renumbering.function
    box.trap_function()
    waits, initial_waits = box.wait_functions(), box.wait_functions_at_start()
    slow = box.kernel_slow("__wdbg_tick_slow", None if irq is None else new(irq))
    quiet = box.kernel_slow("__wdbg_tick_quiet", None)
    box.user_slow(None if user_irq is None else new(user_irq))
    add.export(layout.TICK_EXPORT, Kind.GLOBAL, tick)
    add.export(layout.HOOKS_EXPORT, Kind.TABLE, hooks)
    if stack is not None and not exports_global(module, stack):
        add.export(layout.STACK_POINTER_EXPORT, Kind.GLOBAL, stack)

    passes: list[Pass] = []
    if recorder is not None:
        passes.append(recorder.spans)
    probes = None
    if variant.probes:
        probe = box.probe_function()
        probes = _probe_pass(
            module, add, len(memories), probe, None, variant.reload, frozenset(initial)
        )
    resumed = probes.at_tick if probes is not None else None
    if variant.ticks:
        uninjected = frozenset(i for i, name in names.items() if name in port.uninjected)
        passes.append(TickPass(tick, slow, frozenset(initial), quiet, uninjected, resumed))
        if variant.cuts:
            cuts = CutPass(len(memories), slow, quiet, frozenset(initial), uninjected)
            passes.append(cuts)
    if probes is not None:
        passes.append(probes)
    if recorder is not None and recorder.accesses is not None:
        passes.append(recorder.accesses)
    if variant.samples:
        functions_ = box.watch_functions()
        passes.append(SamplePass(len(memories), *functions_, module.code_base, frozenset(initial)))
    if variant.watch:
        passes.append(WatchPass(len(memories), *box.watch_functions(), frozenset(initial)))
    if module.memories[0].shared:
        passes.append(WaitPass(waits, frozenset(initial), initial_waits))
    if not renumbering.trivial:
        passes.append(RenumberPass(renumbering))
    swept = sweep(
        module, passes, wrappers, lambda: add.bodies, lambda i: names.get(i, ""), progress
    )
    park = (
        write_name(layout.MODULE) + write_name(layout.PARK) + b"\0" + encode_unsigned(add.type(()))
    )
    raw_imports = [park]
    raw_imports += [raw_import(data, e) for e in imports if e.kind is not Kind.FUNCTION]
    raw_imports.append(_debug_memory(variant))
    wrapper_types = [module.function_types[i] for i in range(1, len(functions))]
    label = module_name(data)
    wasm, code_base = assemble(
        module, add, renumbering, raw_imports, wrapper_types, swept, names, label, keep_start=True
    )
    stops = None if probes is None else probes.table()
    return Instrumented(
        wasm,
        make_facts(
            module,
            label,
            variant,
            code_base,
            shift=grown,
            stack=stack is not None,
            injects_kernel=variant.ticks and irq is not None and stack is not None,
            injects_user=variant.ticks and user_irq is not None,
            start=None,
            stops=0 if stops is None else len(stops),
        ),
        swept.offsets,
        function_table(module, names),
        stops,
    )


def _probe_pass(
    module: Module,
    add: Additions,
    memory: int,
    probe: int,
    base: int | None,
    reload: bool,
    skipped: frozenset[int] = frozenset(),
) -> ProbePass:
    """The stop points of a module, from its DWARF if it has any."""
    from symbols.dwarf.stops import read_stops

    info = read_stops(module)
    return ProbePass(add, module, memory, probe, base, info.rows, info.live, skipped, reload=reload)


def _debug_memory(variant: Variant) -> bytes:
    """The import of the debug memory."""
    name = write_name(layout.MODULE) + write_name(layout.DEBUG_MEMORY)
    return name + b"\x02\x03" + encode_unsigned(variant.debug_pages) * 2


def instrument_program(
    data: bytes, variant: Variant, progress: Progress | None = None
) -> Instrumented:
    """Rewrite a user program.

    Its start function, if it has one, becomes the export ``__wdbg_start`` (``Facts.start``): it
    may run for long or park, which instantiation must not. Raises as ``instrument_kernel`` does.
    """
    module = Module(data)
    check_fresh(module)
    if any(memory.index64 for memory in module.memories):
        raise BadInput("64-bit memories are not supported")
    imports = module.imports
    first = module.function_imports
    names = function_names(module)
    imported_globals = sum(e.kind is Kind.GLOBAL for e in imports)
    waits = any(memory.shared for memory in module.memories) and has_waits(module)
    if waits and not (module.imported(Kind.MEMORY) and module.memories[0].shared):
        raise BadInput("the program waits on a shared memory of its own")
    debug = variant.probes or variant.cuts
    if debug and len(module.memories) > len(module.imported(Kind.MEMORY)):
        raise BadInput("the program defines a memory of its own")
    shift = 1 + 3 * waits + variant.probes + 2 * variant.watch
    add = Additions(module, len(module.function_types) + shift)
    new_imports: list[tuple[str, int]] = [(layout.PROGRAM_SLOW, add.type((I32,)))]
    if waits:
        new_imports += [
            (layout.WAIT32_EXPORT, add.type((I32, I32, I64, I32), (I32,))),
            (layout.WAIT64_EXPORT, add.type((I32, I64, I64, I32), (I32,))),
            (layout.NOTIFY_EXPORT, add.type((I32, I32, I32), (I32,))),
        ]
    if variant.probes:
        probe = first + len(new_imports)
        new_imports.append((layout.PROBE_EXPORT, add.type((I32,), (I32,))))
    if variant.watch:
        watch = first + len(new_imports)
        kind = add.type((I32, I32, I32))
        new_imports += [(layout.WATCH_EXPORT, kind), (layout.WATCH_RANGE_EXPORT, kind)]
    renumbering = Renumbering({}, first, shift, imported_globals, 1 + variant.probes)
    tick = imported_globals
    stack = find_stack_pointer(module, Port("program", guess_stack_pointer=False))
    slow = _program_slow(add, first, None if stack is None else renumbering.global_(stack))
    passes: list[Pass] = []
    probes = None
    if variant.probes:
        probes = _probe_pass(module, add, len(module.memories), probe, tick + 1, variant.reload)
    if variant.ticks:
        resumed = probes.at_tick if probes is not None else None
        passes.append(TickPass(tick, slow, resumed=resumed))
        if variant.cuts:
            passes.append(CutPass(len(module.memories), slow))
    if probes is not None:
        passes.append(probes)
    if variant.watch:
        passes.append(WatchPass(len(module.memories), watch, watch + 1))
    if waits:
        targets = {
            "memory.atomic.wait32": first + 1,
            "memory.atomic.wait64": first + 2,
            "memory.atomic.notify": first + 3,
        }
        passes.append(WaitPass(targets))
    passes.append(RenumberPass(renumbering))
    swept = sweep(module, passes, (), lambda: add.bodies, lambda i: names.get(i, ""), progress)
    ours = write_name(layout.MODULE)
    raw_imports = [raw_import(data, e) for e in imports]
    raw_imports += [
        ours + write_name(name) + b"\0" + encode_unsigned(kind) for name, kind in new_imports
    ]
    raw_imports.append(ours + write_name(layout.PROGRAM_TICK) + bytes((Kind.GLOBAL, I32, 1)))
    if variant.probes:
        raw_imports.append(ours + write_name(layout.PROGRAM_PROBES) + bytes((Kind.GLOBAL, I32, 0)))
    if debug:
        raw_imports.append(_debug_memory(variant))
    label = module_name(data)
    start = None
    if module.start is not None:
        start = layout.START_EXPORT
        add.export(start, Kind.FUNCTION, renumbering.function(module.start))
    wasm, code_base = assemble(
        module, add, renumbering, raw_imports, [], swept, names, label, keep_start=False
    )
    stops = None if probes is None else probes.table()
    return Instrumented(
        wasm,
        make_facts(
            module,
            label,
            variant,
            code_base,
            shift=shift,
            stack=stack is not None,
            injects_kernel=False,
            injects_user=variant.ticks and stack is not None,
            start=start,
            stops=0 if stops is None else len(stops),
        ),
        swept.offsets,
        function_table(module, names),
        stops,
    )


def _program_slow(add: Additions, tick_slow: int, stack: int | None) -> int:
    """() -> (): hands the stack pointer below its red zone to the kernel, restores it after a
    signal handler may have run on the same stack."""
    if stack is None:
        return add.function("__wdbg_slow", (), (), i32_const(0) + op("call", tick_slow))
    body = (
        op("global.get", stack)
        + op("local.tee", 0)
        + i32_const(layout.RED_ZONE)
        + op("i32.sub")
        + op("call", tick_slow)
        + op("local.get", 0)
        + op("global.set", stack)
    )
    return add.function("__wdbg_slow", (), (), body, (I32,))
