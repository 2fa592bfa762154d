"""Static rewriting of kernels and user programs, and the on-disk cache of the results.

Nothing in here starts a thread or imports NumPy: the guest process must stay single-threaded.
"""

from wdbg.instrument.port import Port
from wdbg.instrument.result import FunctionTable, HostCall, Instrumented
from wdbg.instrument.rewrite import instrument_kernel, instrument_program
from wdbg.instrument.variant import PLAIN, TICK, Variant

__all__ = [
    "PLAIN",
    "TICK",
    "FunctionTable",
    "HostCall",
    "Instrumented",
    "Port",
    "Variant",
    "instrument_kernel",
    "instrument_program",
]
