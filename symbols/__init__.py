"""Readers for what a WebAssembly kernel carries: its container, opcodes and debug information.

This package stands on its own: it imports nothing of wdbg.
"""
