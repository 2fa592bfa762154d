"""Questions about an original module that both kinds of rewriting ask."""

from __future__ import annotations

import hashlib
from array import array

from symbols.wasm.container import SectionId
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from symbols.wasm.types import FuncType, GlobalType, Kind, Limits, TableType, ValueType
from wdbg.errors import BadInput
from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.result import (
    Facts,
    FunctionTable,
    GlobalImport,
    HostCall,
    MemoryImport,
    TableImport,
)
from wdbg.instrument.scan import Token, tokenizer
from wdbg.instrument.variant import Variant

_WAIT_SECOND_BYTES = (0x00, 0x01, 0x02, 0x80, 0x81, 0x82)


def check_fresh(module: Module) -> None:
    """BadInput if the module is a result of rewriting."""
    again = any(name.startswith(layout.EXPORT_PREFIX) for name in module.exports)
    if again or any(e.module == layout.MODULE for e in module.imports):
        raise BadInput("the module has been rewritten by wdbg already", "give the original module")


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
    wanted = GlobalType(ValueType.I32, mutable=True)
    for index in candidates:
        if index < len(module.globals) and module.globals[index] == wanted:
            return index
    return None


def function_names(module: Module) -> dict[int, str]:
    """Function names: the name section, else exports, else imports."""
    names = {i: e.name for i, e in enumerate(module.imported(Kind.FUNCTION))}
    for export in module.exports.values():
        if export.kind is Kind.FUNCTION:
            names[export.index] = export.name
    names.update(module.names.functions)
    return names


def exported_function(module: Module, name: str | None, kind: FuncType) -> int | None:
    """Index of an exported function of this signature; None if there is no such export."""
    export = module.exports.get(name) if name else None
    if export is None:
        return None
    if export.kind is not Kind.FUNCTION:
        raise BadInput(f"export {name} is no function")
    if not module.function_imports <= export.index < len(module.function_types):
        raise BadInput(f"export {name} is no function of the module")
    actual = module.types[module.function_types[export.index]]
    if actual != kind:
        raise BadInput(f"export {name} has signature {actual}, expected {kind}")
    return export.index


def exports_global(module: Module, index: int) -> bool:
    """True if global ``index`` has an export."""
    return any(e.kind is Kind.GLOBAL and e.index == index for e in module.exports.values())


def has_waits(module: Module) -> bool:
    """True if the code holds a wait or notify."""
    code = module.section(SectionId.CODE)
    if code is None:
        return False
    data = module.data
    # A search for the bytes is quick and rules most programs out.
    if all(data.find(bytes((0xFE, b)), code.start, code.end) < 0 for b in _WAIT_SECOND_BYTES):
        return False
    scan = tokenizer(frozenset((Token.WAIT,))).scan
    return any(scan(data, read_locals(data, start, end)[1], end) for _, start, end in module.bodies)


def module_name(data: bytes) -> str:
    """A name that tells modules of one store apart."""
    return hashlib.sha256(data).hexdigest()[:16]


def function_table(module: Module, names: dict[int, str]) -> FunctionTable:
    """Names and places of all functions."""
    base = module.code_base
    starts = array("I", [start - base for _, start, _ in module.bodies])
    total = len(module.function_types)
    every = [names.get(i, "").encode("utf-8", "replace") for i in range(total)]
    code = module.section(SectionId.CODE)
    size = code.end - code.start if code else 0
    return FunctionTable(module.function_imports, size, starts, every)


def host_calls(module: Module) -> tuple[HostCall, ...]:
    """The imported functions, in the order of their call numbers."""
    kinds = (module.types[i] for i in module.function_types)
    return tuple(
        HostCall(
            entry.name,
            entry.module,
            tuple(t.text for t in kind.params),
            tuple(t.text for t in kind.results),
        )
        for entry, kind in zip(module.imported(Kind.FUNCTION), kinds, strict=False)
    )


def make_facts(
    module: Module,
    label: str,
    variant: Variant,
    code_base: int,
    shift: int,
    stack: bool,
    injects_kernel: bool,
    injects_user: bool,
    start: str | None,
    stops: int = 0,
) -> Facts:
    """What a loader must know; ``label`` is the module's name in trap frames."""
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
        module_name=label,
        variant=variant.name,
        code_base=code_base,
        original_code_base=module.code_base,
        function_imports=module.function_imports,
        functions=len(module.function_types),
        function_shift=shift,
        calls=host_calls(module),
        memory=memory,
        tables=tuple(tables),
        globals=tuple(globals_),
        exports=tuple((e.name, e.kind.name.lower(), e.index) for e in module.exports.values()),
        stack_pointer=stack,
        injects_kernel=injects_kernel,
        injects_user=injects_user,
        stops=stops,
        start=start,
    )
