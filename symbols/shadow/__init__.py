"""The shadow ELF: a module's symbols and DWARF as an i386 file for stock GDB and drgn."""
