"""Records of different sizes into one stream of 32-bit words, in order, without a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import U32, Places


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one size: a row of words each, and the event's number in its batch."""

    seq: npt.NDArray[np.integer]
    words: U32
    """Of shape (records, words)."""


def as_words(rows: npt.NDArray[np.void]) -> U32:
    """A structured array (size a multiple of 4) as a row of words each."""
    packed = np.ascontiguousarray(rows)
    return packed.view("<u4").reshape(len(packed), -1)


def sizes(parts: Sequence[Records], events: int) -> npt.NDArray[np.int64]:
    """Words of each event's record, 0 for events without one."""
    found = np.zeros(events, np.int64)
    for part in parts:
        found[part.seq] = part.words.shape[1]
    return found


def scatter(parts: Sequence[Records], offsets: Places, out: U32) -> None:
    """Put each event's record at its offset (in words, by event number) of `out`."""
    for part in parts:
        width = part.words.shape[1]
        starts = offsets[part.seq]
        for column in range(width):  # a column at a time: no index array as large as the records
            out[starts + column] = part.words[:, column]
