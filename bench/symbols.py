"""`python -m bench.symbols stops|cold|warm MODULE`: seconds of one step on a module's DWARF."""

import sys
import tempfile
import time
from pathlib import Path

from symbols.dwarf.index import Index
from symbols.dwarf.stops import read_stops
from symbols.wasm import Module


def main() -> int:
    """Do the step and print how long it took on the wall, reading the file included; imports and,
    for a warm index, building it are left out."""
    step, path = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        if step == "warm":
            Index.open(path, cache=cache)
        start = time.perf_counter()
        if step == "stops":
            read_stops(Module(path.read_bytes()))
        else:
            index = Index.open(path, cache=cache)
            if not index.find_function("kernel_clone"):
                return 1
        print(time.perf_counter() - start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
