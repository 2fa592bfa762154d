"""The figures: what is run for each, and which bound it is held against."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.debugging import gdb_answers, peer_debug_mode
from bench.exploring import explore_rate, zygote_start
from bench.guest_run import Reading
from bench.locks import lock_checks
from bench.processes import WDBG, BenchError, Cost, cost_of, time_to_text
from bench.rows import Row, at_least, at_most
from bench.series import Spread, interleaved, ratios, spread
from bench.time_travel import time_travel
from bench.traces import huge_trace, trace_files
from wdbg.runtime.guest import Guest, default_guest

PROMPT = b"# "
"""What the guest's shell shows when it waits for a command."""

WORKLOADS = {
    "spawnstorm": "spawnstorm 1000",
    "pingpong": "pingpong 50000",
    "futexes": "futexes 50000",
    "fschurn": "fschurn 4000",
}
"""Kernel workloads of the example guest (examples/guest/user/work), a second or so each."""

KERNEL_LOADS = {
    "fschurn": WORKLOADS["fschurn"],
    "kallsyms": "i=0; while [ $i -lt 100 ]; do cat /proc/kallsyms; i=$((i+1)); done",
}
"""Work that is done in the kernel: memory and file system, formatted output."""

CROWD = (
    "crowd() { i=0; while [ $i -lt 24 ]; do sleep 1000 & i=$((i+1)); done; sleep 1000; }; "
    "for n in 1 2 3 4 5 6 7 8 9 10; do crowd & done; sleep 1; echo @end"
)
"""More than 300 guest tasks at the same time: processes that sleep, and the kernel's own."""

V8_HOST = Path(__file__).with_name("v8") / "host.mjs"


def guest_run(**options: object) -> dict[str, Reading]:
    """One boot in a fresh process; its readings by mark."""
    _, output = cost_of([sys.executable, "-m", "bench.guest_run", json.dumps(options)])
    readings = [Reading(**json.loads(line)) for line in output.splitlines() if line[:1] == "{"]
    return {reading.name: reading for reading in readings}


def boot_time(rounds: int) -> Iterator[Row]:
    """Command line to shell prompt, whole process, warm cache."""
    command = [str(WDBG), "run", "--append", "quiet", "--pace", "virtual"]
    samples = interleaved({"wdbg": lambda: time_to_text(command, PROMPT)}, rounds)["wdbg"]
    yield at_most("boot to the prompt", "s", spread([cost.wall for cost in samples]), 0.5)


def tick_cost(rounds: int) -> Iterator[Row]:
    """CPU time with ticks over without, for the same guest work: one CPU, clock frozen."""
    yield from _variant_cost(rounds, {"tick": ("ticks", 1.15)})


def debug_cost(rounds: int) -> Iterator[Row]:
    """The same for the variants that a debugger drives, with nothing armed or watched."""
    yield from _variant_cost(rounds, {"debug": ("debug", 1.5), "watch": ("watch", 2.0)})


def trace_cost(rounds: int) -> Iterator[Row]:
    """The same for what traces record, into a flight recorder; and how fast events come."""
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory, "trace.wdt"))

        def recording(**flags: object) -> dict[str, object]:
            return {"trace": path, "tracing": {"ring": 64 << 20, **flags}}

        options = {
            "call": recording(events="call"),
            "all": recording(events="call", calls="all"),
            "lock": recording(events="lock,sched,irq"),
        }
        bounds = {
            "call": ("call events and ticks", 1.5),
            "all": ("all call events and ticks", 2.0),
            "lock": ("lock, sched and irq events and ticks", 1.2),
        }
        yield from _variant_cost(rounds, bounds, options)
        loads = {
            "into a flight recorder": _measured_work(KERNEL_LOADS["fschurn"], **options["all"]),
            "into a file": _measured_work(
                KERNEL_LOADS["fschurn"], **recording(events="call", calls="all", ring=0)
            ),
        }
        for name, runs in interleaved(loads, rounds).items():
            rates = [
                (run["end"].units - run["boot"].units) / (run["end"].wall - run["boot"].wall) / 1e6
                for run in runs
            ]
            yield at_least(f"call events, {name}", "million/s", spread(rates), 10)


def _variant_cost(
    rounds: int,
    variants: dict[str, tuple[str, float]],
    options: dict[str, dict[str, object]] | None = None,
) -> Iterator[Row]:
    """Each variant over plain; a variant's value is what to call it, and its bound. `options` are
    those of a variant's guest run, by default its name as the variant."""
    options = options or {}
    found: dict[str, dict[str, Spread]] = {variant: {} for variant in variants}
    for name, work in WORKLOADS.items():
        samples = interleaved(
            {
                variant: _measured_work(
                    work, frozen_clock=True, **options.get(variant, {"variant": variant})
                )
                for variant in ("plain", *variants)
            },
            rounds,
        )
        boots = {v: [run["boot"].cpu for run in runs] for v, runs in samples.items()}
        works = {
            v: [run["end"].cpu - run["boot"].cpu for run in runs] for v, runs in samples.items()
        }
        for variant in variants:
            found[variant].setdefault("boot", ratios(boots[variant], boots["plain"]))
            found[variant][name] = ratios(works[variant], works["plain"])
    for variant, (label, bound) in variants.items():
        for name, ratio in found[variant].items():
            yield Row(f"{label} ÷ plain, {name}", "×", ratio)
        medians = spread([ratio.median for ratio in found[variant].values()])
        yield at_most(f"{label} ÷ plain, median of these", "×", medians, bound)


def _measured_work(work: str, **options: object) -> Callable[[], dict[str, Reading]]:
    command = f"echo @boot; {work} >/dev/null; echo @end"
    return lambda: guest_run(command=command, **options)


def rewrite_cost(rounds: int) -> Iterator[Row]:
    """Cold rewrite of the kernel over Cranelift's compile of the same module, on all cores."""
    kernel = str(default_guest().kernel)

    def step(name: str) -> Callable[[], float]:
        return lambda: float(cost_of([sys.executable, "-m", "bench.rewrite", name, kernel])[1])

    samples = interleaved({name: step(name) for name in ("compile", "rewrite")}, rounds)
    yield Row("rewrite, cold", "s", spread(samples["rewrite"]))
    yield at_most("rewrite ÷ compile", "×", ratios(samples["rewrite"], samples["compile"]), 1.0)


def symbol_index(rounds: int) -> Iterator[Row]:
    """The kernel's DWARF: read for the rewriter, indexed from nothing, opened again."""
    kernel = str(default_guest().kernel)

    def step(name: str) -> Callable[[], float]:
        return lambda: float(cost_of([sys.executable, "-m", "bench.symbols", name, kernel])[1])

    samples = interleaved({name: step(name) for name in ("stops", "cold", "warm")}, rounds)
    yield Row("stop points of the kernel", "s", spread(samples["stops"]))
    yield at_most("index of the kernel's DWARF, cold", "s", spread(samples["cold"]), 30)
    yield at_most("index, warm, with a first query", "s", spread(samples["warm"]), 0.3)


def switch_cost(rounds: int) -> Iterator[Row]:
    """A context switch: the runtime's work alone, and with the guest's system calls around it."""
    samples = interleaved(
        {
            "bare": lambda: float(cost_of([sys.executable, "-m", "bench.switch"])[1]),
            "pingpong": lambda: _cost_a_switch(_measured_work(WORKLOADS["pingpong"])()),
        },
        rounds,
    )
    yield at_most("context switch", "µs", spread(samples["bare"]), 5.0)
    yield Row("context switch with its system calls", "µs", spread(samples["pingpong"]))


def _cost_a_switch(run: dict[str, Reading]) -> float:
    switches = run["end"].switches - run["boot"].switches
    if switches < 50_000:
        raise BenchError(f"pingpong made only {switches} context switches")
    return (run["end"].cpu - run["boot"].cpu) / switches * 1e6


def task_memory(rounds: int) -> Iterator[Row]:
    """Resident size of the process with at least 300 guest tasks."""
    runs = interleaved({"tasks": lambda: guest_run(command=CROWD, cpus=4)}, rounds)["tasks"]
    fewest = min(run["end"].tasks for run in runs)
    if fewest < 300:
        raise BenchError(f"the guest had only {fewest} tasks")
    sizes = spread([run["end"].resident for run in runs])
    yield at_most(f"resident with {fewest} tasks", "MiB", sizes, 300)


def tick_rate(rounds: int) -> Iterator[Row]:
    """Ticks per second of CPU time under kernel load."""
    loads = {name: _measured_work(work) for name, work in KERNEL_LOADS.items()}
    for name, runs in interleaved(loads, rounds).items():
        rates = []
        for run in runs:
            ticks = run["end"].ticks - run["boot"].ticks
            rates.append(ticks / (run["end"].cpu - run["boot"].cpu) / 1e6)
        yield at_least(f"ticks, {name}", "million/s", spread(rates), 300)


def v8_peer(rounds: int) -> Iterator[Row]:
    """The same kernel, not rewritten, under Node's V8: one worker thread a task."""
    node = shutil.which("node")
    if node is None:
        return
    guest = default_guest()
    shown = {
        "wdbg": [str(WDBG), "run", "--append", "quiet", "--pace", "virtual"],
        "v8": _v8(node, guest, "quiet", cpus=4),
    }
    boots = interleaved({k: _to_prompt(command) for k, command in shown.items()}, rounds)
    yield Row("V8: boot to the prompt", "s", spread([cost.wall for cost in boots["v8"]]))
    walls = {name: [cost.wall for cost in costs] for name, costs in boots.items()}
    yield Row("V8 ÷ wdbg: boot to the prompt", "×", ratios(walls["v8"], walls["wdbg"]))
    for name, work in WORKLOADS.items():
        from_boot = {"boot": "true", "work": work}
        variants = {
            f"{host} {part}": _run_command(host, node, guest, command)
            for part, command in from_boot.items()
            for host in ("wdbg", "v8")
        }
        costs = interleaved(variants, rounds)
        net = {
            host: [
                work.wall - boot.wall
                for work, boot in zip(costs[f"{host} work"], costs[f"{host} boot"], strict=True)
            ]
            for host in ("wdbg", "v8")
        }
        yield Row(f"V8 ÷ wdbg: {name}, one CPU, wall", "×", ratios(net["v8"], net["wdbg"]))


def _to_prompt(command: list[str]) -> Callable[[], Cost]:
    return lambda: time_to_text(command, PROMPT)


def _run_command(host: str, node: str, guest: Guest, work: str) -> Callable[[], Cost]:
    if host == "wdbg":
        command = [str(WDBG), "run", "--append", "quiet", "--cpus", "1", "--exec", work]
    else:
        encoded = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in work)
        command = _v8(node, guest, f"quiet WDBG_EXEC={encoded}", cpus=1)
    return lambda: cost_of(command)[0]


def _v8(node: str, guest: Guest, append: str, cpus: int) -> list[str]:
    return [
        node, str(V8_HOST), str(guest.kernel), "--initrd", str(guest.initrd),
        "--append", append, "--cpus", str(cpus), "--memory", "128",
    ]  # fmt: skip


FIGURES: dict[str, Callable[[int], Iterator[Row]]] = {
    "boot": boot_time,
    "ticks": tick_cost,
    "debug": debug_cost,
    "trace": trace_cost,
    "locks": lock_checks,
    "files": trace_files,
    "huge": huge_trace,
    "peer": peer_debug_mode,
    "gdb": gdb_answers,
    "rewrite": rewrite_cost,
    "symbols": symbol_index,
    "switch": switch_cost,
    "tasks": task_memory,
    "rate": tick_rate,
    "time": time_travel,
    "v8": v8_peer,
    "explore": explore_rate,
    "zygote": zygote_start,
}

ASKED_FOR = frozenset(("huge",))
"""Those that are measured only if `--only` names them: they take long."""
