"""Stops, breakpoints, watchpoints, stepping, frames and values; knows no packet."""
