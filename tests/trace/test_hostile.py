"""Files that somebody made to do harm: right checksums, wrong contents. Nothing but an error of
ours comes out of it, whatever is done with the trace."""

import random
import shutil
from pathlib import Path

import pytest

from tests.trace.synthetic import CLASSES, HEADER, Synthetic, functions, to_batch
from wdbg.analysis.calls import call_tree, collapsed, function_times
from wdbg.analysis.lockstat import lock_stats
from wdbg.analysis.sched import task_times
from wdbg.errors import WdbgError
from wdbg.trace.chunk import Compressor, pack_events
from wdbg.trace.export import FORMATS, export
from wdbg.trace.layout import ChunkType
from wdbg.trace.names import Names
from wdbg.trace.reader import Trace
from wdbg.trace.tables import pack_rows
from wdbg.trace.writer import TraceFile


def payloads() -> list[tuple[ChunkType, bytes, dict[str, int]]]:
    batch, lives = to_batch(Synthetic(seed=2).run(150))
    payload, facts = pack_events(batch, 4)
    return [
        (ChunkType.FUNCTIONS, pack_rows(functions(20)), {}),
        (ChunkType.TASKS, pack_rows(lives.rows), {}),
        (ChunkType.CLASSES, pack_rows(CLASSES), {}),
        (ChunkType.EVENTS, payload, facts),
        (ChunkType.EVENTS, payload, facts),
    ]


def write_damaged(path: Path, chance: random.Random) -> None:
    compressor = Compressor(1)
    file = TraceFile(path, HEADER, compressor)
    for kind, payload, facts in payloads():
        data = bytearray(payload)
        if chance.random() < 0.6:
            columns = int.from_bytes(data[:4], "little")
            for _ in range(chance.randint(1, 6)):
                first = 4 + 12 * columns if chance.random() < 0.85 else 0
                data[chance.randrange(first, len(data))] = chance.choice((0, 1, 128, 255))
        facts = dict(facts)
        if facts and chance.random() < 0.2:
            facts["first_tick"] = chance.choice((0, 2**63, 2**64 - 1))
        file.chunk(compressor.chunk(kind, 0, bytes(data), **facts))
    file.close({})


@pytest.mark.parametrize("seed", range(12))
def test_wrong_contents(tmp_path: Path, seed: int) -> None:
    path, out = tmp_path / "t.wdt", tmp_path / "out"
    write_damaged(path, random.Random(seed))
    with Trace(path) as trace:
        for format_name in FORMATS:
            try:
                export(trace, format_name, out)
            except WdbgError:
                pass
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
        names = Names(trace.tables)
        tree = call_tree(trace)
        assert sum(1 for _ in collapsed(tree, {})) <= len(tree.parent)
        assert len(function_times(tree)) <= len(tree.parent)
        lock_stats(trace, names)
        task_times(trace, names)
