"""`python -m bench.rewrite rewrite|compile KERNEL`: seconds of one step on a kernel, cold."""

import sys
import time
from pathlib import Path

from wdbg.instrument.rewrite import instrument_kernel
from wdbg.instrument.variant import TICK
from wdbg.runtime.abi.linux_wasm import PORT
from wdbg.runtime.engine import Engine


def main() -> int:
    """Do the step and print how long it took on the wall; imports and reading are left out."""
    step, kernel = sys.argv[1], Path(sys.argv[2]).read_bytes()
    engine = Engine(parallel=True)
    start = time.perf_counter()
    if step == "rewrite":
        instrument_kernel(kernel, TICK, PORT)
    else:
        engine.compile(kernel)
    print(time.perf_counter() - start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
