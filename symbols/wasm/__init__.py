"""WebAssembly modules: container, opcode table, instruction decoder, names, writer.

Everything read here is hostile input: each count is checked against the bytes that are left, and
whatever is wrong with a module is a ``SymbolsError`` with a file offset.
"""

from symbols.wasm.module import Module

__all__ = ["Module"]
