"""Data races: conflicting accesses that nothing orders, from a trace (docs/races.md).

`stream` cuts a trace down to what matters, `order` is the happens-before relation (vector clocks;
its edges come from `locks`, `atomics`, `interrupts`, `grace` and `tasks`), `shadow` remembers the
last accesses of each word and finds those that are not ordered, `detect` puts it all together.
"""
