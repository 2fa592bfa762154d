"""Why a guest hangs: who waits for whom, since when, holding what, and who should have woken whom.

`explain` looks at a guest that stands still, and at the trace of its run if there is one.
"""

from wdbg.analysis.hang.verdicts import LIMIT, Hang, Stuck, explain, locks_text

__all__ = ["LIMIT", "Hang", "Stuck", "explain", "locks_text"]
