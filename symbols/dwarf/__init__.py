"""DWARF 4 and 5 of WebAssembly modules, read without objects per entry: kernels have 10^6.

An *address* in here is what DWARF of a module calls one: an offset from the start of the code
section's contents. Everything read is hostile input; what is damaged is left out with a note.
"""
