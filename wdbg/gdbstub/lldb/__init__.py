"""The dialect of LLDB's wasm plug-in."""
