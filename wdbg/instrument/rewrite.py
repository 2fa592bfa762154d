"""Rewrites a kernel or a user program for the fiber runtime.

Kernel: every imported function becomes a wrapper around the one import "wdbg" "park". The wrapper
of import i > 0 takes the index i itself, so only references to function 0 change. Programs import
the tick counter, its slow path and the wait functions from the kernel instance of their task.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

from symbols.wasm.container import (
    MODULE_PREAMBLE,
    ORDER,
    SectionId,
    write_custom,
    write_name,
    write_section,
    write_vector,
)
from symbols.wasm.leb import decode_u32, encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.types import FuncType, GlobalType, Import, Kind, Limits, TableType, ValueType
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.additions import Additions
from wdbg.instrument.emit import function as code_entry
from wdbg.instrument.emit import i32_const, op
from wdbg.instrument.mailbox import Mailbox
from wdbg.instrument.port import Port
from wdbg.instrument.renumber import Renumbering, RenumberPass
from wdbg.instrument.result import (
    Facts,
    FunctionTable,
    GlobalImport,
    HostCall,
    Instrumented,
    MemoryImport,
    TableImport,
)
from wdbg.instrument.sweep import Pass, Progress, SweepResult, sweep
from wdbg.instrument.ticks import TickPass
from wdbg.instrument.variant import Variant
from wdbg.instrument.waits import WaitPass

I32, I64 = ValueType.I32, ValueType.I64
_INIT_MEMORY = "__wasm_init_memory"
"""Copies passive data segments when an instance is made; waits and notifies only threads."""
_DEBUG_MEMORY = (
    write_name(layout.MODULE)
    + write_name(layout.DEBUG_MEMORY)
    + b"\x02\x03"
    + encode_unsigned(layout.MIN_PAGES)
    + encode_unsigned(layout.MAX_PAGES)
)


def instrument_kernel(
    data: bytes, variant: Variant, port: Port, progress: Progress | None = None
) -> Instrumented:
    """Rewrite a kernel.

    Raises SymbolsError if the module is malformed, BadInput if it is not one that can be run:
    rewritten already, a memory of its own, or exports with other signatures than the port says.
    """
    module = Module(data)
    _check_fresh(module)
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
    names = _names(module)
    stack = find_stack_pointer(module, port)
    tick = add.i32_global()
    box = Mailbox(add, len(memories), 0, tick, stack)

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
                _export(module, port.user_stack_pointer, FuncType((), (I32,))),
                _export(module, port.user_tls_base, FuncType((), (I32,))),
            )
        else:
            body = box.import_body(number, entry.name, kind)
        if number:
            wrappers.append(code_entry(body, local_types))
        else:
            moved[0] = add.function(entry.name, kind.params, kind.results, body, local_types)
    renumbering = Renumbering(moved, 0, grown)

    irq = _export(module, port.irq_entry, FuncType((), ()))
    user_irq = _export(module, port.user_irq_entry, FuncType((I32,), ()))
    new = renumbering.function
    box.trap_function()
    waits = box.wait_functions()
    slow = box.kernel_slow(None if irq is None else new(irq))
    box.user_slow(None if user_irq is None else new(user_irq))
    add.export(layout.TICK_EXPORT, Kind.GLOBAL, tick)
    add.export(layout.HOOKS_EXPORT, Kind.TABLE, hooks)
    if stack is not None and not _exports_global(module, stack):
        add.export(layout.STACK_POINTER_EXPORT, Kind.GLOBAL, stack)

    initial = {i for i, name in names.items() if name == _INIT_MEMORY}
    if module.start is not None:
        initial.add(module.start)
    passes: list[Pass] = []
    if variant.ticks:
        unticked = initial | {i for i, name in names.items() if name in port.unticked}
        passes.append(TickPass(tick, slow, frozenset(unticked)))
    if module.memories[0].shared:
        passes.append(WaitPass(waits, frozenset(initial)))
    if not renumbering.trivial:
        passes.append(RenumberPass(renumbering))
    swept = sweep(
        module, passes, wrappers, lambda: add.bodies, lambda i: names.get(i, ""), progress
    )
    park = (
        write_name(layout.MODULE) + write_name(layout.PARK) + b"\0" + encode_unsigned(add.type(()))
    )
    raw_imports = [park]
    raw_imports += [_raw_import(data, e) for e in imports if e.kind is not Kind.FUNCTION]
    raw_imports.append(_DEBUG_MEMORY)
    wrapper_types = [module.function_types[i] for i in range(1, len(functions))]
    calls = tuple(
        HostCall(
            entry.name,
            entry.module,
            tuple(t.text for t in kind.params),
            tuple(t.text for t in kind.results),
        )
        for entry, kind in zip(functions, signatures, strict=True)
    )
    wasm, code_base = _assemble(
        module, add, renumbering, raw_imports, wrapper_types, swept, names, keep_start=True
    )
    return Instrumented(
        wasm,
        _facts(
            module,
            variant,
            code_base,
            calls,
            shift=grown,
            stack=stack is not None,
            injects_kernel=variant.ticks and irq is not None and stack is not None,
            injects_user=variant.ticks and user_irq is not None,
            start=None,
        ),
        swept.offsets,
        _function_table(module, names),
    )


def instrument_program(
    data: bytes, variant: Variant, progress: Progress | None = None
) -> Instrumented:
    """Rewrite a user program.

    Its start function, if it has one, becomes the export ``__wdbg_start`` (``Facts.start``): it
    may run for long or park, which instantiation must not. Raises as ``instrument_kernel`` does.
    """
    module = Module(data)
    _check_fresh(module)
    if any(memory.index64 for memory in module.memories):
        raise BadInput("64-bit memories are not supported")
    imports = module.imports
    first = module.function_imports
    names = _names(module)
    imported_globals = sum(e.kind is Kind.GLOBAL for e in imports)
    waits = bool(imports) and any(
        e.kind is Kind.MEMORY and isinstance(e.type, Limits) and e.type.shared for e in imports
    )
    needs_waits = waits and _mentions_wait(module)
    shift = 4 if needs_waits else 1
    add = Additions(module, len(module.function_types) + shift)
    new_imports: list[tuple[str, int]] = [(layout.PROGRAM_SLOW, add.type((I32,)))]
    if needs_waits:
        new_imports += [
            (layout.WAIT32_EXPORT, add.type((I32, I32, I64, I32), (I32,))),
            (layout.WAIT64_EXPORT, add.type((I32, I64, I64, I32), (I32,))),
            (layout.NOTIFY_EXPORT, add.type((I32, I32, I32), (I32,))),
        ]
    renumbering = Renumbering({}, first, shift, imported_globals, 1)
    tick = imported_globals
    stack = find_stack_pointer(module, Port("program", guess_stack_pointer=False))
    slow = _program_slow(add, first, None if stack is None else renumbering.global_(stack))
    passes: list[Pass] = []
    if variant.ticks:
        passes.append(TickPass(tick, slow, frozenset()))
    if needs_waits:
        targets = {
            "memory.atomic.wait32": first + 1,
            "memory.atomic.wait64": first + 2,
            "memory.atomic.notify": first + 3,
        }
        passes.append(WaitPass(targets, frozenset()))
    elif any(memory.shared for memory in module.memories) and _mentions_wait(module):
        raise BadInput("the program waits on a shared memory of its own")
    passes.append(RenumberPass(renumbering))
    swept = sweep(module, passes, (), lambda: add.bodies, lambda i: names.get(i, ""), progress)
    module_name = write_name(layout.MODULE)
    raw_imports = [_raw_import(data, e) for e in imports]
    raw_imports += [
        module_name + write_name(name) + b"\0" + encode_unsigned(kind) for name, kind in new_imports
    ]
    raw_imports.append(module_name + write_name(layout.PROGRAM_TICK) + bytes((Kind.GLOBAL, I32, 1)))
    start = None
    if module.start is not None:
        start = layout.START_EXPORT
        add.export(start, Kind.FUNCTION, renumbering.function(module.start))
    wasm, code_base = _assemble(
        module, add, renumbering, raw_imports, [], swept, names, keep_start=False
    )
    calls = tuple(
        HostCall(
            e.name,
            e.module,
            tuple(t.text for t in kind.params),
            tuple(t.text for t in kind.results),
        )
        for i, e in enumerate(module.imported(Kind.FUNCTION))
        for kind in (module.types[module.function_types[i]],)
    )
    return Instrumented(
        wasm,
        _facts(
            module,
            variant,
            code_base,
            calls,
            shift=shift,
            stack=stack is not None,
            injects_kernel=False,
            injects_user=variant.ticks and stack is not None,
            start=start,
        ),
        swept.offsets,
        _function_table(module, names),
    )


def find_stack_pointer(module: Module, port: Port) -> int | None:
    """Index of the mutable i32 global that is the stack pointer, or None."""
    candidates: list[int] = []
    export = module.exports.get(port.stack_pointer)
    if export is not None and export.kind is Kind.GLOBAL:
        candidates.append(export.index)
    imported = module.imported(Kind.GLOBAL)
    candidates += [i for i, e in enumerate(imported) if e.name == port.stack_pointer]
    candidates += [i for i, name in module.names.globals.items() if name == port.stack_pointer]
    if port.guess_stack_pointer:
        candidates.append(0)
    wanted = GlobalType(I32, mutable=True)
    for index in candidates:
        if index < len(module.globals) and module.globals[index] == wanted:
            return index
    return None


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


def _check_fresh(module: Module) -> None:
    again = any(name.startswith(layout.EXPORT_PREFIX) for name in module.exports)
    if again or any(e.module == layout.MODULE for e in module.imports):
        raise BadInput("the module has been rewritten by wdbg already", "give the original module")


def _mentions_wait(module: Module) -> bool:
    """True if the code may hold wait or notify (bytes of other instructions can look like it)."""
    code = module.section(SectionId.CODE)
    if code is None:
        return False
    return any(
        module.data.find(bytes((0xFE, sub)), code.start, code.end) >= 0
        for sub in (0x00, 0x01, 0x02, 0x80, 0x81, 0x82)
    )


def _names(module: Module) -> dict[int, str]:
    """Function names: the name section, else exports, else imports."""
    names = {i: e.name for i, e in enumerate(module.imported(Kind.FUNCTION))}
    for export in module.exports.values():
        if export.kind is Kind.FUNCTION:
            names[export.index] = export.name
    names.update(module.names.functions)
    return names


def _export(module: Module, name: str | None, kind: FuncType) -> int | None:
    """Index of an exported function of this signature; None if there is no such export."""
    export = module.exports.get(name) if name else None
    if export is None:
        return None
    if export.kind is not Kind.FUNCTION or export.index >= len(module.function_types):
        raise BadInput(f"export {name} is no function")
    actual = module.types[module.function_types[export.index]]
    if actual != kind:
        raise BadInput(f"export {name} has signature {actual}, expected {kind}")
    return export.index


def _exports_global(module: Module, index: int) -> bool:
    return any(e.kind is Kind.GLOBAL and e.index == index for e in module.exports.values())


def _raw_import(data: bytes, entry: Import) -> bytes:
    start, end = entry.descriptor
    return write_name(entry.module) + write_name(entry.name) + data[start:end]


def _assemble(
    module: Module,
    add: Additions,
    renumbering: Renumbering,
    imports: list[bytes],
    leading_types: list[int],
    swept: SweepResult,
    names: dict[int, str],
    keep_start: bool,
) -> tuple[bytes, int]:
    """The new module and the file offset of its code section's contents."""
    data, new = module.data, renumbering.function
    out = [MODULE_PREAMBLE]
    dylink = module.custom("dylink.0")
    if dylink is not None:
        out.append(data[dylink.header : dylink.end])
    code_base = 0
    for section in ORDER:
        contents: bytes | None
        if section is SectionId.IMPORT:
            contents = write_vector(imports)
        elif section is SectionId.FUNCTION:
            kinds = [*leading_types, *module.declared, *add.function_types]
            contents = write_vector([encode_unsigned(i) for i in kinds])
        elif section is SectionId.EXPORT:
            contents = _exports(module, add, renumbering)
        elif section is SectionId.START:
            start = module.start if keep_start else None
            contents = None if start is None else encode_unsigned(new(start))
        elif section is SectionId.ELEMENT:
            contents = _elements(module, renumbering)
        elif section is SectionId.DATA:
            contents = _data(module, renumbering)
        elif section is SectionId.CODE:
            if swept.hints:
                out.append(_hints(swept.hints, renumbering))
            contents = swept.code
            code_base = sum(map(len, out)) + 1 + len(encode_unsigned(len(contents)))
        else:
            contents = _appended(module, section, _added(add, section), renumbering)
        if contents is not None:
            out.append(write_section(section, contents))
    every = {new(i): name for i, name in names.items()}
    every.update(add.names)
    out.append(_name_section(every, _module_name(data)))
    return b"".join(out), code_base


def _added(add: Additions, section: SectionId) -> list[bytes]:
    return {
        SectionId.TYPE: add.types,
        SectionId.TABLE: add.tables,
        SectionId.TAG: add.tags,
        SectionId.GLOBAL: add.globals,
    }.get(section, [])


def _appended(
    module: Module, section: SectionId, entries: list[bytes], renumbering: Renumbering
) -> bytes | None:
    """Contents of a vector section with entries appended, None if it would be absent."""
    old = module.section(section)
    if old is None:
        return write_vector(entries) if entries else None
    if section is SectionId.GLOBAL and not renumbering.trivial:
        mine = []
        for entry in module.defined_globals:
            head = bytes((entry.type.value, entry.type.mutable))
            mine.append(head + renumbering.expression(module.data, *entry.initializer))
        return write_vector(mine + entries)
    if not entries:
        return module.contents(old)
    count, pos = decode_u32(module.data, old.start, old.end)
    return encode_unsigned(count + len(entries)) + module.data[pos : old.end] + b"".join(entries)


def _exports(module: Module, add: Additions, renumbering: Renumbering) -> bytes:
    entries = []
    for export in module.exports.values():
        index = export.index
        if export.kind is Kind.FUNCTION:
            index = renumbering.function(index)
        elif export.kind is Kind.GLOBAL:
            index = renumbering.global_(index)
        entries.append(write_name(export.name) + bytes((export.kind,)) + encode_unsigned(index))
    return write_vector(entries + add.exports)


def _elements(module: Module, renumbering: Renumbering) -> bytes | None:
    section = module.section(SectionId.ELEMENT)
    if section is None:
        return None
    if renumbering.trivial:
        return module.contents(section)
    return write_vector([renumbering.element(module.data, e) for e in module.elements])


def _data(module: Module, renumbering: Renumbering) -> bytes | None:
    section = module.section(SectionId.DATA)
    if section is None:
        return None
    if not renumbering.global_shift:
        return module.contents(section)
    entries = []
    for segment in module.segments:
        head = encode_unsigned(segment.flags)
        if segment.offset is not None:
            if segment.flags == 2:
                head += encode_unsigned(segment.memory)
            head += renumbering.expression(module.data, *segment.offset)
        size = encode_unsigned(segment.end - segment.start)
        entries.append(head + size + module.data[segment.start : segment.end])
    return write_vector(entries)


def _hints(hints: list[tuple[int, list[int]]], renumbering: Renumbering) -> bytes:
    """The branch hint section: each branch of a probe is unlikely. Entries must be sorted."""
    entries = []
    for function, offsets in hints:
        each = [encode_unsigned(offset) + b"\x01\x00" for offset in offsets]
        entries.append(encode_unsigned(renumbering.function(function)) + write_vector(each))
    return write_custom("metadata.code.branch_hint", write_vector(entries))


def _name_section(names: dict[int, str], module_name: str) -> bytes:
    """Function names, and the module's own: trap frames say whose they are by it."""
    entries = [encode_unsigned(i) + write_name(name) for i, name in sorted(names.items())]
    contents = write_vector(entries)
    own = write_name(module_name)
    return write_custom(
        "name",
        b"\x00" + encode_unsigned(len(own)) + own
        + b"\x01" + encode_unsigned(len(contents)) + contents,
    )  # fmt: skip


def _function_table(module: Module, names: dict[int, str]) -> FunctionTable:
    base = module.code_base
    starts = array("I", [start - base for _, start, _ in module.bodies])
    total = len(module.function_types)
    every = [names.get(i, "").encode("utf-8", "replace") for i in range(total)]
    code = module.section(SectionId.CODE)
    size = code.end - code.start if code else 0
    return FunctionTable(module.function_imports, size, starts, every)


def _module_name(data: bytes) -> str:
    """A name that tells modules of one store apart."""
    return hashlib.sha256(data).hexdigest()[:16]


def _facts(
    module: Module,
    variant: Variant,
    code_base: int,
    calls: Sequence[HostCall],
    shift: int,
    stack: bool,
    injects_kernel: bool,
    injects_user: bool,
    start: str | None,
) -> Facts:
    memory = None
    tables, globals_ = [], []
    for entry in module.imports:
        kind = entry.type
        if isinstance(kind, Limits) and memory is None:
            memory = MemoryImport(entry.module, entry.name, kind.minimum, kind.maximum, kind.shared)
        elif isinstance(kind, TableType):
            limits = kind.limits
            tables.append(
                TableImport(
                    entry.module, entry.name, kind.element.text, limits.minimum, limits.maximum
                )
            )
        elif isinstance(kind, GlobalType):
            globals_.append(GlobalImport(entry.module, entry.name, kind.value.text, kind.mutable))
    return Facts(
        module_name=_module_name(module.data),
        variant=variant.name,
        code_base=code_base,
        original_code_base=module.code_base,
        function_imports=module.function_imports,
        functions=len(module.function_types),
        function_shift=shift,
        calls=tuple(calls),
        memory=memory,
        tables=tuple(tables),
        globals=tuple(globals_),
        exports=tuple((e.name, e.kind.name.lower(), e.index) for e in module.exports.values()),
        stack_pointer=stack,
        injects_kernel=injects_kernel,
        injects_user=injects_user,
        start=start,
    )
