"""What `make demo` shows: Linux boots under wdbg, answers, is tortured, and does it all again.

Every command is printed as a user would type it. Exit status: 0, or 1 when a run went wrong.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WDBG = Path(sys.executable).with_name("wdbg")

BOLD, PLAIN = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")

COMPLAINTS = re.compile(r"!!!|BUG:|WARNING:|Oops|FAILURE|stall")
"""What the kernel prints when a torture test finds something."""

TOLD = re.compile(rf"{COMPLAINTS.pattern}|of test|Writes:|reboot|wdbg:")
"""What is shown of a torture test: not each of its tasks."""

LOOK = ["run", "--seed", "1", "--print-hash", "--exec", "uname -a; ps; cat /proc/cpuinfo"]
TORTURE = [
    "run", "--config", "torture", "--append",
    "quiet locktorture.torture_type=spin_lock locktorture.shutdown_secs=1",
    "--exec", "sleep 100",
]  # fmt: skip

TRACE = Path("build/demo.wdt")

NEXT = """\
What to try next:

    source .venv/bin/activate
    wdbg run                                     # a shell; Ctrl-A x leaves
    wdbg run --exec 'dmesg | grep smp' --cpus 8  # any command, any number of CPUs
    wdbg run --seed 2 --print-hash --exec ps     # another schedule: another hash
    wdbg run --gdb 1234 --wait                   # prints the line to attach GDB with; --lldb too
    wdbg trace export --format perfetto build/demo.wdt
    wdbg --help                                  # and docs/README.md
"""


class DemoError(Exception):
    """A run did not do what it should; the message is one line."""


def main() -> int:
    """Run the demonstration."""
    try:
        title("Linux boots to user space and runs a command.")
        first = run_hash(wdbg(LOOK))
        title("The same once more: seed and input are the same, so the whole run is.")
        second = run_hash(wdbg(LOOK, shown=re.compile("run hash")))
        if first != second:
            raise DemoError(f"the two runs differ: {first} and {second}")
        print(f"    {first}\n    {second}\nequal: every context switch, every byte of memory.")
        title("The kernel's own lock torture test, a virtual second on four CPUs.")
        check_torture(wdbg(TORTURE, shown=TOLD))
        title("A boot recorded: calls, locks, switches, interrupts; and who ran, who waited.")
        TRACE.parent.mkdir(exist_ok=True)
        wdbg(["run", "--append", "quiet", "--trace", str(TRACE), "--exec", "ps"], shown=TOLD)
        wdbg(["trace", "info", str(TRACE)], shown=re.compile("events|call_enter|switch|lost"))
        wdbg(["report", "sched", str(TRACE)], shown=re.compile("Task|init|khvcd|sh:"))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{NEXT}", end="")
    return 0


def title(text: str) -> None:
    """Say what comes now."""
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def wdbg(arguments: Sequence[str], shown: re.Pattern[str] | None = None) -> str:
    """Run a wdbg command, print it and its output (all, or the lines that match `shown`).

    Returns the output; raises DemoError when the command fails.
    """
    print(f"{BOLD}$ {shlex.join(['wdbg', *arguments])}{PLAIN}", flush=True)
    output = []
    with subprocess.Popen(
        [WDBG, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line)
            if shown is None or shown.search(line):
                print(line, end="", flush=True)
    if process.returncode:
        raise DemoError(f"wdbg ended with status {process.returncode}")
    return "".join(output)


def run_hash(output: str) -> str:
    """The run hash that `--print-hash` has printed."""
    found = re.search(r"run hash (\w+)", output)
    if found is None:
        raise DemoError("no run hash was printed")
    return found[1]


def check_torture(output: str) -> None:
    """The torture test has come to its end, and the kernel had no complaint."""
    complaint = COMPLAINTS.search(output)
    if complaint is not None or "End of test: SUCCESS" not in output:
        raise DemoError(f"locktorture: {complaint[0] if complaint else 'it did not end'}")
    print("locktorture came to its end with no complaint.")


if __name__ == "__main__":
    sys.exit(main())
