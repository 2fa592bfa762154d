"""Events as lines of text, thousands at a time.

A line is put together from columns of characters of fixed width, in which NUL means "nothing here";
the NULs go at the end. So nothing is done event by event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from wdbg.trace.batch import Batch, Places, Rows
from wdbg.trace.events import Kind
from wdbg.trace.names import Names, fixed
from wdbg.trace.upstream import EVENTS, Converter, Select

Chars = npt.NDArray[np.uint8]

STEP = 1 << 14
"""Events that are put together at once: the characters stay in the cache."""
MAX_INDENT = 40

HEADER = b"""# tracer: nop
#
#           TASK-PID      CPU#     TIMESTAMP      EVENT: FIELDS
#              | |          |          |            |
"""

TEMPLATES = {
    "funcgraph_entry": "{depth:indent}{func:sym}() {{",
    "funcgraph_exit": "{depth:indent}}} /* {func:sym} {took:us} us */",
    "sched_switch": (
        "prev_comm={prev_comm} prev_pid={prev_pid} prev_prio={prev_prio} "
        "prev_state={prev_state:state} ==> next_comm={next_comm} next_pid={next_pid} "
        "next_prio={next_prio}"
    ),
    "sched_waking": "comm={comm} pid={pid} prio={prio} target_cpu={target_cpu:cpu}",
    "sched_wakeup": "comm={comm} pid={pid} prio={prio} target_cpu={target_cpu:cpu}",
    "sched_wakeup_new": "comm={comm} pid={pid} prio={prio} target_cpu={target_cpu:cpu}",
    "lock_acquire": "{lockdep_addr:hex} {flags:lockflags}{name} from {position:place}",
    "lock_contended": "{lockdep_addr:hex} {name}",
    "lock_acquired": "{lockdep_addr:hex} {name}",
    "lock_release": "{lockdep_addr:hex} {name}",
    "lock_init": "{lockdep_addr:hex} {name}",
    "lock_note": "{flags:hex} {addr:hex} value={value:hex}",
    "lock_try": "{lockdep_addr:hex} {name} success={success}",
    "console": "{msg}",
    "panic": "{msg}",
    "mark": "{msg} ({value})",
}
"""Texts of events; others are `field=value field=value ...`. After the colon: how to show it
("place" shows a field of ours, not one of the kernel's)."""

_HEX = frozenset(("void *", "unsigned long"))
COLOURS = {
    "ftrace": b"\x1b[32m", "sched": b"\x1b[33m", "lock": b"\x1b[35m", "irq": b"\x1b[36m",
    "timer": b"\x1b[36m", "printk": b"\x1b[1m", "wdbg": b"\x1b[31m",
}  # fmt: skip
_OFF, _DIM = b"\x1b[0m", b"\x1b[2m"

Part = bytes | Chars


class Strings:
    """Texts of which columns are made by number; control characters become question marks."""

    def __init__(self, texts: npt.NDArray[np.bytes_]) -> None:
        self._chars = _clean(texts)
        self._lengths = np.count_nonzero(self._chars, axis=1).astype(np.uint8)
        self._narrow: dict[int, Chars] = {}
        """The same, narrower, in one piece of memory: rows of that are soon taken."""

    def take(self, rows: Places) -> Chars:
        """The texts of these numbers, about as wide as the longest of them."""
        longest = int(self._lengths.take(rows).max()) if len(rows) else 0
        width = min(-(-longest // 4) * 4, self._chars.shape[1])
        chars = self._narrow.get(width)
        if chars is None:
            chars = self._narrow[width] = np.ascontiguousarray(self._chars[:, :width])
        return chars.take(rows, axis=0)


def _texts(*texts: str) -> Strings:
    return Strings(fixed(texts, 1 + max(map(len, texts))))


class Lines:
    """Makes lines of the batches of a trace, in order."""

    def __init__(self, names: Names, ns_per_tick: int, colour: bool = False) -> None:
        self._converter = Converter(names, ns_per_tick)
        self._names = names
        self._ns_per_tick = ns_per_tick
        self._colour = colour
        self._functions = Strings(names.function_names)
        shown = [f"{life.comm:>16}-{life.pid:<7}" for life in names.lives]
        self._tasks = Strings(fixed(shown, 48))
        self._parsed = {kind: _parse(kind) for kind in EVENTS}
        self.counts: dict[str, int] = {}

    def render(self, batch: Batch, select: Select | None = None) -> Iterator[bytes]:
        """Text of a batch's events, of those that `select` wants."""
        blocks: list[tuple[npt.NDArray[np.uint32], Kind, Rows, Rows]] = []
        for kind, rows, fields in self._converter.convert(batch, select):
            name = EVENTS[kind].name
            self.counts[name] = self.counts.get(name, 0) + len(rows)
            blocks.append((rows["seq"], kind, rows, fields))
        for first in range(0, len(batch), STEP):
            parts = []
            for seq, kind, rows, fields in blocks:
                low, high = np.searchsorted(seq, (first, first + STEP))
                if low < high:
                    chars = self._block(kind, rows[low:high], fields[low:high])
                    parts.append((seq[low:high], chars))
            if parts:
                yield _merge(parts)

    def _block(self, kind: Kind, rows: Rows, fields: Rows) -> Chars:
        """Lines of events of one kind, a row of characters each."""
        life = self._names.life(rows["task"], rows["tick"])
        event = EVENTS[kind]
        colour = COLOURS.get(event.system, b"") if self._colour else b""
        seconds = rows["time"] // np.uint64(10**9)
        fraction = (rows["time"] - seconds * np.uint64(10**9)).astype(np.uint32)
        parts: list[Part] = [
            self._tasks.take(life), b" [", three_digits(rows["cpu"]), b"] ",
            _DIM if self._colour else b"", _seconds(seconds), b".", nine_digits(fraction),
            _OFF if self._colour else b"", b": ", colour, event.name.encode(),
            _OFF if colour else b"", b": ",
        ]  # fmt: skip
        for piece in self._parsed[kind]:
            if isinstance(piece, bytes):
                parts.append(piece)
            else:
                parts.append(self._field(*piece, rows, fields))
        parts.append(b"\n")
        return _beside(len(rows), parts)

    def _field(self, name: str, how: str, rows: Rows, fields: Rows) -> Chars:
        if how == "us":
            return _micros(fields["rettime"] - fields["calltime"])
        column = rows[name] if how == "place" else fields[name]
        if name == "func":
            return self._functions.take(self._names.function_rows(rows["function"]))
        if column.dtype.kind == "S":
            return _clean(column)
        if how == "hex":
            return hexadecimal(column)
        if how in ("sym", "place"):
            return self._symbol(column, how == "place")
        if how == "cpu":
            return decimal(column, 3)
        if how == "indent":
            return _INDENTS.take(np.clip(column, 0, MAX_INDENT))
        if how == "state":
            return _STATES.take(_state_row(column))
        if how == "lockflags":
            return _LOCK_FLAGS.take((column & 3).astype(np.intp))
        return decimal(column)

    def _symbol(self, positions: npt.NDArray[np.uint32], offset: bool) -> Chars:
        """Function names of positions, with the offset in them if asked for."""
        names = self._names
        rows = names.position_rows(positions)
        shown: list[Part] = [self._functions.take(rows)]
        if offset:
            inside = positions - names.starts[rows]
            shown += [b"+", hexadecimal(inside)]
        found = _beside(len(rows), shown)
        if not rows.all():
            unknown = rows == 0
            other = hexadecimal(positions[unknown])
            if found.shape[1] < other.shape[1]:
                found = np.pad(found, ((0, 0), (0, other.shape[1] - found.shape[1])))
            found[unknown] = 0
            found[unknown, : other.shape[1]] = other
        return found


def _parse(kind: Kind) -> list[bytes | tuple[str, str]]:
    """Pieces of a kind's text: constant, or (field, how)."""
    event = EVENTS[kind]
    template = TEMPLATES.get(event.name)
    if template is None:
        how = {name: ":hex" if ctype in _HEX else "" for name, ctype in event.fields}
        how |= dict.fromkeys({"function", "caller_offs", "ip"} & set(how), ":sym")
        template = " ".join(f"{name}={{{name}{how[name]}}}" for name, _ in event.fields)
    pieces: list[bytes | tuple[str, str]] = []
    for text, field in re.findall(r"((?:[^{}]|\{\{|\}\})+)|\{(\w+(?::\w+)?)\}", template):
        if field:
            name, _, manner = field.partition(":")
            pieces.append((name, manner))
        else:
            pieces.append(text.replace("{{", "{").replace("}}", "}").encode())
    return pieces


def _merge(parts: Sequence[tuple[npt.NDArray[np.uint32], Chars]]) -> bytes:
    """Rows in the order of their numbers, without NULs."""
    if len(parts) == 1:
        chars = parts[0][1]
    else:
        first = min(int(seq[0]) for seq, _ in parts)
        present = np.zeros(max(int(seq[-1]) for seq, _ in parts) - first + 1, np.intp)
        for seq, _ in parts:
            present[seq - first] = 1
        rank = np.cumsum(present) - 1
        chars = np.zeros((int(rank[-1]) + 1, max(c.shape[1] for _, c in parts)), np.uint8)
        for seq, block in parts:
            chars[rank.take(seq - first), : block.shape[1]] = block
    return chars.tobytes().translate(None, b"\0")


def _beside(rows: int, parts: Sequence[Part]) -> Chars:
    """The parts in one array; constant ones are the same in every row."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        elif len(part):
            joined.append(part)
    widths = [len(part) if isinstance(part, bytes) else part.shape[1] for part in joined]
    out = np.empty((rows, sum(widths)), np.uint8)
    pattern = b"".join(p if isinstance(p, bytes) else bytes(p.shape[1]) for p in joined)
    out[:] = np.frombuffer(pattern, np.uint8)  # what is constant, all at once
    at = 0
    for part, width in zip(joined, widths, strict=True):
        if not isinstance(part, bytes):
            out[:, at : at + width] = part
        at += width
    return out


def _clean(texts: npt.NDArray[np.bytes_]) -> Chars:
    """Characters of texts as wide as the longest; control characters become question marks."""
    if not len(texts):
        return np.zeros((0, 0), np.uint8)
    chars = np.ascontiguousarray(texts).view(np.uint8).reshape(len(texts), -1)
    used = np.flatnonzero(chars.any(axis=0))
    chars = chars[:, : int(used[-1]) + 1 if len(used) else 0]
    control = ((chars < 32) & (chars != 0)) | (chars == 127)
    return np.where(control, np.uint8(ord("?")), chars) if control.any() else chars


def decimal(values: npt.NDArray[np.integer], digits: int = 0) -> Chars:
    """Decimal numbers; with at least so many digits."""
    negative = values < 0 if values.dtype.kind == "i" else None
    if negative is not None and negative.any():
        size = np.abs(values.astype(np.int64)).astype(np.uint64)
        chars = _digits(size, digits)
        sign = np.where(negative, ord("-"), 0).astype(np.uint8)[:, None]
        return np.concatenate((sign, chars), axis=1)
    return _digits(values, digits)


def _digits(values: npt.NDArray[np.integer], least: int) -> Chars:
    top = int(values.max()) if len(values) else 0
    width = max(len(str(top)), least, 1)
    # Half as wide numbers divide several times faster.
    rest: npt.NDArray[np.integer] = values.astype(np.uint32 if top < 1 << 32 else np.uint64)
    out = np.empty((len(values), width), np.uint8)
    for place in range(width - 1, -1, -1):
        quotient = rest // 10
        out[:, place] = rest - quotient * 10
        rest = quotient
    if width > max(least, 1):
        leading = np.maximum.accumulate(out[:, : width - max(least, 1)], axis=1) == 0
        out += ord("0")
        out[:, : leading.shape[1]][leading] = 0
    else:
        out += ord("0")
    return out


_THREE = np.array([list(b"%03d\0" % number) for number in range(1000)], np.uint8).view(np.uint32)
"""Three digits and a NUL as one number: rows of a plain array are taken much faster."""


def three_digits(values: npt.NDArray[np.integer]) -> Chars:
    """Numbers with leading zeros; most are below 1000."""
    if len(values) and int(values.max()) >= len(_THREE):
        return decimal(values, 3)
    return _THREE[:, 0].take(values).view(np.uint8).reshape(-1, 4)


def nine_digits(values: npt.NDArray[np.uint32]) -> Chars:
    """Numbers below 10^9 with leading zeros, three digits at a time."""
    thousands = values // np.uint32(1000)
    millions = thousands // np.uint32(1000)
    out = np.empty((len(values), 3), np.uint32)
    out[:, 0] = _THREE[:, 0].take(millions)
    out[:, 1] = _THREE[:, 0].take(thousands - millions * np.uint32(1000))
    out[:, 2] = _THREE[:, 0].take(values - thousands * np.uint32(1000))
    return out.view(np.uint8)


_HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def hexadecimal(values: npt.NDArray[np.integer]) -> Chars:
    """Hexadecimal numbers with 0x, below 2^32."""
    rest = values.astype(np.uint32)
    width = max(1, -(-int(rest.max()).bit_length() // 4)) if len(rest) else 1
    nibbles = np.empty((len(rest), width), np.uint8)
    for place in range(width):
        nibbles[:, place] = rest >> np.uint32(4 * (width - 1 - place)) & np.uint32(15)
    leading = np.maximum.accumulate(nibbles[:, :-1], axis=1) == 0
    chars = _HEX_DIGITS[nibbles]
    chars[:, :-1][leading] = 0
    return _beside(len(rest), [b"0x", chars])


def _micros(nanoseconds: npt.NDArray[np.uint64]) -> Chars:
    whole = decimal(nanoseconds // np.uint64(1000))
    return _beside(
        len(whole), [whole, b".", three_digits((nanoseconds % np.uint64(1000)).astype(np.intp))]
    )


def _seconds(seconds: npt.NDArray[np.uint64]) -> Part:
    """Right-aligned; nearly always the same for all of a block."""
    if len(seconds) and seconds[0] == seconds[-1]:
        return b"%5d" % int(seconds[0])
    different, rows = np.unique(seconds, return_inverse=True)
    return _texts(*(f"{one:>5}" for one in different.tolist())).take(rows)


def _state_row(states: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Row of _STATES: the lowest bit of the state, 0 = running."""
    low = states.astype(np.uint32) & np.uint32(0xFF)
    row = np.zeros(len(states), np.intp)
    for bit in range(7, -1, -1):
        row[(low >> np.uint32(bit)) & 1 != 0] = bit + 1
    return row


_STATES = _texts("R", *"SDTtXZPI", "?")
_LOCK_FLAGS = _texts("", "try ", "read ", "try read ")
_INDENTS = _texts(*("  " * n for n in range(MAX_INDENT + 1)))
