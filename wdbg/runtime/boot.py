"""From files and flags to a machine that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from wdbg.errors import BadInput
from wdbg.instrument.cache import Cache
from wdbg.instrument.points import Recording
from wdbg.instrument.variant import DEBUG, EDIT, PLAIN, TICK, WATCH
from wdbg.runtime.abi.linux_wasm import LEAST_MEMORY, LinuxWasm
from wdbg.runtime.console import Console
from wdbg.runtime.engine import PAGE, Engine, EngineError, SharedMemory
from wdbg.runtime.kernel import load_kernel
from wdbg.runtime.machine import NS_PER_TICK, Machine
from wdbg.runtime.probes import Probes
from wdbg.runtime.program import Programs
from wdbg.runtime.scheduler import (
    DEFAULT_DEPTH,
    Decision,
    Pct,
    RoundRobin,
    Scheduler,
    Scripted,
    SeededRandom,
    Takeover,
)

VARIANTS = {v.name: v for v in (TICK, PLAIN, DEBUG, WATCH, EDIT)}
"""Instrumentation variants by name; "plain" has no ticks: only for benchmarks (DESIGN D7a)."""

MOST_PAGES = 65535
"""One page less than 4 GiB: sizes in bytes stay 32-bit numbers."""

CPIO_MAGICS = (b"070701", b"070702")
COMPRESSED_MAGICS = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BootOptions:
    """What to boot and how."""

    kernel: Path
    initrd: Path | None = None
    command_line: str = ""
    cpus: int = 4
    memory: int = 128 << 20
    """Limit of the guest's memory, bytes."""
    seed: int | None = None
    schedule: str = "rr"
    """"rr", "random", "pct" or "scripted"."""
    depth: int = DEFAULT_DEPTH
    """Of "pct": one more than the places at which priorities change."""
    decisions: tuple[Decision, ...] = ()
    """Of "scripted": round robin up to the tick of the first of them, then `Scripted`."""
    cuts: bool = False
    """The variant counts memory accesses, so that schedules can switch at each."""
    samples: bool = False
    """The variant samples memory accesses: for a `RaceWatch`."""
    variant: str = "tick"
    recording: Recording | None = None
    """What a trace is to hold; the machine then needs a `Tracer`."""
    frozen_clock: bool = False
    """Time passes only while all CPUs are idle: benchmarks compare variants over equal work."""


def read_initrd(path: Path) -> bytes:
    """The bytes of an initramfs; BadInput unless it is a newc cpio archive."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"initrd {path}: {error.strerror}") from None
    if data.startswith(CPIO_MAGICS):
        return data
    packer = next((name for magic, name in COMPRESSED_MAGICS.items() if data.startswith(magic)), "")
    if packer:
        raise BadInput(
            f"initrd {path}: compressed with {packer}", "unpack it: the guest reads plain cpio"
        )
    raise BadInput(f"initrd {path}: not a newc cpio archive", "make one with cpio -o -H newc")


def make_scheduler(options: BootOptions) -> Scheduler:
    """The schedule that the options ask for."""
    if options.schedule == "random":
        return SeededRandom(options.seed or 0)
    if options.schedule == "pct":
        return Pct(options.seed or 0, options.depth)
    if options.schedule == "scripted" and options.decisions:
        decisions = options.decisions
        return Takeover(RoundRobin(), Scripted(decisions), decisions[0].tick)
    return RoundRobin()


def boot(options: BootOptions, console: Console) -> Machine:
    """A machine at its first instruction.  BadInput for whatever cannot be booted."""
    initrd = read_initrd(options.initrd) if options.initrd is not None else None
    cache = Cache()
    variant = VARIANTS[options.variant]
    if options.cuts:
        variant = replace(variant, cuts=True)
    if options.samples:
        variant = replace(variant, samples=True)
    recorded = replace(variant, recording=options.recording)
    engine = Engine()
    kernel = load_kernel(options.kernel, recorded, LinuxWasm.port, cache, engine)
    debug_directory = options.initrd.parent / "debug" if options.initrd is not None else None
    abi = LinuxWasm(kernel, Programs(engine, variant, cache, debug_directory))
    declared = kernel.memory
    least = declared.minimum * PAGE + len(initrd or b"") + LEAST_MEMORY
    if options.memory < least:
        raise BadInput(
            f"{options.memory >> 20} MiB of memory are too few for this kernel and initrd",
            f"--memory {(least >> 20) + 1} or more",
        )
    limit = min(options.memory // PAGE, declared.maximum or MOST_PAGES)
    try:
        memory = SharedMemory(engine, declared.minimum, limit)
    except EngineError as error:
        raise BadInput(f"no memory for the guest: {error}") from None
    machine = Machine(
        engine, abi, memory, limit * PAGE, make_scheduler(options), console,
        ns_per_tick=0 if options.frozen_clock else NS_PER_TICK,
        debug_pages=recorded.debug_pages,
    )  # fmt: skip
    machine.cuts = variant.cuts
    machine.options = options
    if variant.probes:
        machine.probes = Probes(machine.mailbox)
        machine.reloads = variant.reload
        machine.probes.add(options.kernel.stem, options.kernel, kernel.code)
    abi.boot(options.command_line, initrd, options.cpus)
    return machine
