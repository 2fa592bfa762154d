"""The dialect of GDB: an i386 that never was, over the shadow ELF's view of a wasm guest."""
