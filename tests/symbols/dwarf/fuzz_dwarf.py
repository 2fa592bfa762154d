"""Mutations of DWARF sections: what reads them refuses politely or leaves things out.

`python -m tests.symbols.dwarf.fuzz_dwarf --mutations 20000 --seed 1` runs that many on samples that
it compiles. For every mutation nothing but SymbolsError is raised, in bounded time and memory.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from symbols.dwarf.index import Index
from symbols.dwarf.stops import read_stops
from symbols.errors import SymbolsError
from symbols.wasm import Module
from symbols.wasm.container import write_module
from tests.symbols.dwarf.samples import Sample, compile_sample
from tests.symbols.fuzz_container import MUTATIONS

SAMPLES = (
    Sample("2", 4),
    Sample("2", 5),
    Sample("0", 5),
    Sample("1", 4, ("-fPIC",)),
    Sample("2", 5, source="sample.cc"),
)
SECONDS = 20
"""Longest time one mutation may take on a loaded machine; usual ones take some milliseconds."""
MEMORY = 1 << 30
"""Address space beyond what the process has at the start, bytes."""


def mutate(rng: random.Random, module: Module) -> bytes:
    """The module with one to four mutations in its DWARF sections."""
    parts = [[s.id, s.name, bytearray(module.contents(s))] for s in module.sections]
    places = [n for n, s in enumerate(module.sections) if s.name.startswith(".debug_")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        contents = parts[rng.choice(places)][2]
        if contents:
            rng.choice(MUTATIONS)(rng, contents)
    return write_module((kind, name, bytes(data)) for kind, name, data in parts)


def use(path: Path, cache: Path) -> None:
    """Ask everything that can be asked; SymbolsError may come from types only."""
    module = Module(path.read_bytes())
    stops = read_stops(module)
    assert list(stops.rows) == sorted(set(stops.rows))
    index = Index.open(path, cache=cache)
    for function in index.functions():
        for address in {function.low, index.after_prologue(function), function.high - 1}:
            index.frames_at(address)
        index.find_function(function.name)
        index.inlined_calls(function.name)
    for file in index.files():
        for line in index.lines_of(file)[:20]:
            index.find_line(file, line)
    names = set(index.names())
    for name in names | {"everything", "thing", "color"}:
        for query in (index.variables, index.struct, index.enum, index.typedef, index.type):
            try:
                found = query(name)
            except SymbolsError:
                continue
            for kind in found if isinstance(found, list) else [found]:
                look(kind)
    index.variable_at(1024)


def look(found: object) -> None:
    """Ask a type, or a variable's, what it is."""
    kind = getattr(found, "type", found)
    for name in ("size", "bare", "flat_members", "enumerators", "dimensions", "signed"):
        try:
            getattr(kind, name, None)
            str(kind)
        except SymbolsError:
            pass


def main() -> int:
    """Run; 1 and a traceback with the seed of the mutation if one is not handled."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    limit = used + MEMORY + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def too_slow(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {SECONDS} seconds")

    signal.signal(signal.SIGALRM, too_slow)
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        modules = [Module(compile_sample(s, directory).read_bytes()) for s in SAMPLES]
        for number in range(arguments.mutations):
            rng = random.Random(f"{arguments.seed}/{number}")
            path = directory / "mutated.wasm"
            path.write_bytes(mutate(rng, rng.choice(modules)))
            started = time.monotonic()
            signal.alarm(SECONDS)
            try:
                use(path, directory / "cache")
            except SymbolsError:
                pass
            except BaseException:
                print(f"seed {arguments.seed}, mutation {number}", file=sys.stderr)
                raise
            finally:
                signal.alarm(0)
            slowest = max(slowest, time.monotonic() - started)
    print(f"{arguments.mutations} mutations, the slowest took {slowest:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
