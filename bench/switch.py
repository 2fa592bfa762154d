"""`python -m bench.switch`: microseconds of CPU time of one context switch, nothing else in it.

The guest is a kernel of a few instructions in which two tasks do nothing but switch to each other:
what is left is the runtime's work, from the wrapper of the host call to the other task's fiber.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.runtime.minikernel import machine
from wdbg.runtime.console import StreamConsole

SWITCHES = 200_000

BODY = f"""
  (func (export "_start") (local $left i32)
    (local.set $left (i32.const {SWITCHES // 2}))
    (drop (call $create (i32.const 4096) (i32.const 12288) (i32.const 16)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (loop $again
      (drop (call $switch (i32.const 4096) (i32.const 12288)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $machine_stop (i32.const 1) (i32.const 0)))
  (func (export "ret_from_fork") (param i32 i32) (result i32)
    (loop $again
      (drop (call $switch (i32.const 12288) (i32.const 4096)))
      (br $again))
    (unreachable))
"""


def main() -> int:
    """Print the cost of a switch; 0 if the guest made as many as it should."""
    with tempfile.TemporaryDirectory() as directory:
        made = machine(BODY, Path(directory), StreamConsole(None), cpus=1)
        start = time.process_time()
        made.run()
        seconds = time.process_time() - start
    print(seconds / made.switches * 1e6)
    return 0 if made.switches >= SWITCHES else 1


if __name__ == "__main__":
    sys.exit(main())
