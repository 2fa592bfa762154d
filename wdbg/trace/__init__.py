"""Traces: event kinds, file format, writer, reader, exporters.

`events`, `ring` and `feed` are what the process that runs a guest imports, so they do not import
numpy; everything else works on NumPy arrays and runs in other processes.
"""
