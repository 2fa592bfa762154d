"""What is known about a kernel from its files alone: wasm containers, DWARF, types, symbols.

Ground floor of wdbg: nothing in here imports anything of ``wdbg``.
"""
