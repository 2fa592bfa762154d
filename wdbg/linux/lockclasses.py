"""Lock classes of an unmodified kernel: the places where locks are initialised.

Without lockdep the keys of lock classes are empty objects, which share addresses. So the class of a
lock that is initialised at run time is the code offset of the call that does it; each has a name
from the debug information: the function, and the line of the source.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from symbols.dwarf.index import Index
from symbols.wasm.leb import decode_u32
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from wdbg.instrument.original import function_names
from wdbg.instrument.scan import Token, tokenizer
from wdbg.linux.lockpoints import LOCKS, Does
from wdbg.trace.events import LockKind
from wdbg.trace.feed import LockClassRow


def lock_classes(data: bytes, index: Index | None) -> list[LockClassRow]:
    """A row for each call of an initialising function; SymbolsError if the module is damaged."""
    module = Module(data)
    names = function_names(module)
    kinds = {
        name: kind for kind, _, does, text in LOCKS if does is Does.INIT for name in text.split()
    }
    wanted = {i: kinds[name] for i, name in names.items() if name in kinds}
    if not wanted:
        return []
    scan = tokenizer(frozenset((Token.CALL,))).scan
    rows = []
    for number, (_, start, end) in enumerate(module.bodies):
        _, code = read_locals(data, start, end)
        for _, call, after in scan(data, code, end):
            kind = wanted.get(decode_u32(data, call + 1, after)[0])
            if kind is not None:
                site = call - module.code_base
                caller = names.get(module.function_imports + number, "")
                rows.append(_row(site, kind, caller, index))
    return rows


def _row(site: int, kind: LockKind, caller: str, index: Index | None) -> LockClassRow:
    line = None if index is None else index.line_at(site)
    where = "" if line is None else f" ({PurePosixPath(line[0]).name}:{line[1]})"
    return LockClassRow(site, f"{caller}{where}", 0, int(kind))
