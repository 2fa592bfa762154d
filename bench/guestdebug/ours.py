"""`python -m bench.guestdebug.ours FILE VARIANT ROUNDS`: run the work in one of our variants.

Prints the result and the CPU seconds of the call alone.
"""

import sys
import time
from pathlib import Path

from wdbg.instrument import layout
from wdbg.instrument.port import Port
from wdbg.instrument.rewrite import instrument_kernel
from wdbg.instrument.variant import DEBUG, PLAIN, TICK
from wdbg.runtime.engine import Engine, Fiber, Linker, SharedMemory
from wdbg.runtime.mailbox import Mailbox

VARIANTS = {v.name: v for v in (PLAIN, TICK, DEBUG)}


def main() -> int:
    """Rewrite, compile, call."""
    path, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    variant = VARIANTS[name]
    done = instrument_kernel(path.read_bytes(), variant, Port("bench"))
    memory = done.facts.memory
    assert memory is not None
    assert memory.maximum is not None
    engine = Engine()
    module = engine.compile(done.wasm)
    mailbox = Mailbox(engine, 0, variant.debug_pages)
    shared = SharedMemory(engine, memory.minimum, memory.maximum)
    linker, fiber = Linker(engine), Fiber(engine)
    linker.define_park(layout.MODULE, layout.PARK)
    linker.define_memory(fiber.store, memory.module, memory.name, shared)
    linker.define_memory(fiber.store, layout.MODULE, layout.DEBUG_MEMORY, mailbox.memory)
    instance = fiber.instantiate(linker, module)
    work = instance.export("work")
    assert work is not None
    fiber.start(work, (rounds,))
    started = time.process_time()
    mailbox.tick.value = 1 << 30
    while not fiber.poll():
        mailbox.tick.value = 1 << 30
    print(fiber.result & 0xFFFFFFFF, time.process_time() - started)
    return int(fiber.trap is not None)


if __name__ == "__main__":
    sys.exit(main())
