"""wdbg: kernel debugging and tracing for Linux on WebAssembly."""

__version__ = "0.1.0"
