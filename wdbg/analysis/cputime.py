"""A clock for each task that stands still while the task is switched out."""

from __future__ import annotations

import numpy as np

from wdbg.trace.batch import Rows

_SEQ_BITS = 24


class CpuTime:
    """Goes over a trace a batch at a time. Without SWITCH events it changes nothing."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        """Task to when it was switched out."""
        self._off: dict[int, int] = {}
        """Task to the virtual ns that it has been switched out in all."""

    def apply(self, rows: Rows, switches: Rows) -> None:
        """Take from `time` of each row what its task has been switched out until then. Both
        arrays are of one batch."""
        steps = {task << _SEQ_BITS: off for task, off in self._off.items()}
        columns = (switches[name].tolist() for name in ("seq", "time", "prev", "next"))
        for seq, time, prev, following in zip(*columns, strict=True):
            self._left[prev] = time
            left = self._left.pop(following, None)
            if left is not None:
                off = self._off.get(following, 0) + max(0, time - left)
                self._off[following] = off % 2**64  # a damaged trace's times may be anything
                steps[following << _SEQ_BITS | seq] = self._off[following]
        if not steps or not len(rows):
            return
        order = sorted(steps)
        keys = np.array(order, np.uint64)
        offs = np.array([steps[key] for key in order], np.uint64)
        wanted = rows["task"].astype(np.uint64) << np.uint64(_SEQ_BITS) | rows["seq"]
        at = np.searchsorted(keys, wanted, side="right") - 1
        same = (at >= 0) & (keys[at] >> np.uint64(_SEQ_BITS) == rows["task"])
        rows["time"] -= np.where(same, offs[at], np.uint64(0))
