"""The GDB remote serial protocol in two dialects, over `wdbg.debugger`."""
