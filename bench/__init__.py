"""Benchmarks: `python -m bench`. What each figure is and how it is measured: docs/benchmarks.md."""
