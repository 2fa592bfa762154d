"""Mutations of real modules: the reader and the rewriter refuse them politely or handle them.

`python -m tests.symbols.fuzz_container --mutations 100000 [MODULE ...]` runs that many on small
modules made here, and one in a thousand on each file given. For every mutation:

* nothing but SymbolsError (and BadInput from the rewriter) is raised, in bounded time and memory;
* what wasmtime accepts, the reader accepts, and the rewritten form is valid too.
"""

from __future__ import annotations

import argparse
import collections
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import wasmtime

from symbols.errors import SymbolsError
from symbols.wasm import customs
from symbols.wasm.container import write_custom, write_module
from symbols.wasm.decode import instructions
from symbols.wasm.leb import encode_unsigned
from symbols.wasm.module import Module
from symbols.wasm.readers import read_locals
from tests.instrument.generator import IRQ, STACK, generate
from tests.instrument.harness import engine
from tests.symbols.rich import RICH
from wdbg.errors import BadInput
from wdbg.instrument.port import Port
from wdbg.instrument.rewrite import instrument_kernel, instrument_program
from wdbg.instrument.variant import TICK

SECONDS = 20
"""Longest time one mutation may take on a loaded machine."""
MEMORY = 1 << 30
"""Address space beyond what the process has at the start, bytes."""
PORT = Port("fuzz", clock_import="i0", irq_entry=IRQ, stack_pointer=STACK)

Mutation = Callable[[random.Random, bytearray], None]


def flip(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] = rng.choice((0, 1, 0x0B, 0x40, 0x7F, 0x80, 0xFC, 0xFE, 0xFF))


def insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 1, 2, 5, 50)))


def delete(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 1, 2, 5, 50))]


def cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    chunk = data[at : at + rng.randrange(1, 60)]
    data[at:at] = chunk * rng.choice((1, 2, 100))


def big_number(rng: random.Random, data: bytearray) -> None:
    """A length, count or index far too large, in the place of a small one."""
    at = rng.randrange(len(data))
    value = rng.choice((127, 128, 1000, 1 << 16, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 35))
    data[at : at + 1] = encode_unsigned(value)


def swap(rng: random.Random, data: bytearray) -> None:
    """Two sections, or two ranges if it is no module any more."""
    try:
        sections = Module(bytes(data)).sections
    except SymbolsError:
        sections = []
    if len(sections) < 2:
        flip(rng, data)
        return
    first, second = sorted(rng.sample(sections, 2), key=lambda s: s.header)
    data[:] = (
        data[: first.header]
        + data[second.header : second.end]
        + data[first.end : second.header]
        + data[first.header : first.end]
        + data[second.end :]
    )


MUTATIONS: tuple[Mutation, ...] = (
    flip, flip, overwrite, overwrite, insert, delete, cut, repeat, big_number, big_number, swap,
)  # fmt: skip


def corpus() -> list[bytes]:
    """Small modules that use everything the reader knows."""
    extras = [
        write_custom("target_features", b"\x02+\x07atomics-\x04simd"),
        write_custom("producers", b"\x01\x08language\x01\x03C11\x00"),
        write_custom("build_id", b"\x02\xab\xcd"),
        write_custom(".debug_info", bytes(range(30))),
    ]
    rich = bytes(wasmtime.wat2wasm(RICH)) + b"".join(extras)
    return [rich, *(generate(seed).original for seed in range(40))]


def shrink(data: bytes, bodies: int = 60) -> bytes:
    """A real kernel with its last functions and its DWARF cut off: the same in small."""
    module = Module(data)
    parts = []
    for section in module.sections:
        contents = module.contents(section)
        if section.name.startswith(".debug_"):
            contents = contents[:100]
        elif section.id == 3:
            kept = module.declared[:bodies]
            contents = encode_unsigned(len(kept)) + b"".join(map(encode_unsigned, kept))
        elif section.id == 10:
            first, last = module.bodies[0][0], module.bodies[:bodies][-1][2]
            contents = encode_unsigned(len(module.bodies[:bodies])) + data[first:last]
        parts.append((section.id, section.name, contents))
    return write_module(parts)


def read_core(data: bytes) -> None:
    """What an engine reads as well, instructions included."""
    module = Module(data)
    for name in (
        "types", "imports", "function_types", "tables", "memories", "tags", "globals", "exports",
        "start", "elements", "segments", "bodies", "code_base",
    ):  # fmt: skip
        getattr(module, name)
    for _, start, end in module.bodies:
        _, code = read_locals(data, start, end)
        for _ in instructions(data, code, end):
            pass


def read_custom(data: bytes) -> None:
    """Custom sections, which an engine does not mind."""
    module = Module(data)
    for name in ("functions", "globals", "data", "locals"):
        getattr(module.names, name)
    for read in (customs.target_features, customs.producers, customs.build_id):
        read(module)
    _ = module.dwarf


def refuses(read: Callable[[bytes], None], data: bytes) -> bool:
    """True if the reader raises SymbolsError, with an offset inside the file if it has one."""
    try:
        read(data)
    except SymbolsError as caught:
        offset = caught.offset
    else:
        return False
    assert offset is None or 0 <= offset <= len(data)
    return True


def is_valid(data: bytes) -> bool:
    """wasmtime's opinion."""
    try:
        wasmtime.Module.validate(engine(), data)
    except wasmtime.WasmtimeError:
        return False
    return True


def check(data: bytes) -> str:
    """One mutated module; returns what became of it."""
    valid = is_valid(data)
    refused = refuses(read_core, data)
    assert not (valid and refused), "wasmtime accepts what the reader refuses"
    refuses(read_custom, data)
    rewritten = 0
    for rewrite in (
        lambda: instrument_kernel(data, TICK, PORT),
        lambda: instrument_program(data, TICK),
    ):
        try:
            done = rewrite()
        except (SymbolsError, BadInput):
            continue
        rewritten += 1
        assert not valid or is_valid(done.wasm), "rewriting made a valid module invalid"
    words = "valid" if valid else "invalid, refused" if refused else "invalid, read"
    return f"{words}, {rewritten} rewritten"


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"one mutation took more than {SECONDS} s")


def run(mutations: int, first: int, files: list[Path]) -> collections.Counter[str]:
    """Check so many mutations; AssertionError or whatever escapes ends the run."""
    modules = corpus()
    for path in files:
        modules += [shrink(path.read_bytes())] * 8
    large = [path.read_bytes() for path in files]
    seen: collections.Counter[str] = collections.Counter()
    signal.signal(signal.SIGALRM, _too_slow)
    for seed in range(first, first + mutations):
        rng = random.Random(seed)
        source = rng.choice(large) if large and not seed % 1000 else rng.choice(modules)
        data = bytearray(source)
        for _ in range(rng.choice((1, 1, 2, 5))):
            if data:
                rng.choice(MUTATIONS)(rng, data)
        signal.alarm(SECONDS)
        try:
            seen[check(bytes(data))] += 1
        except BaseException:
            print(f"fuzz: seed {seed}", file=sys.stderr)
            raise
        finally:
            signal.alarm(0)
        if not (seed + 1 - first) % 10_000:
            print(f"fuzz: {seed + 1 - first} mutations", flush=True)
    return seen


def main(arguments: list[str]) -> int:
    """Fuzz with a limit on memory."""
    parser = argparse.ArgumentParser(description="mutated modules against the reader")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first mutation")
    parser.add_argument("modules", nargs="*", type=Path, help="real modules to mutate as well")
    options = parser.parse_args(arguments)
    engine()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    extra = sum(path.stat().st_size for path in options.modules)
    limit = pages * resource.getpagesize() + MEMORY + 20 * extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    started = time.monotonic()
    seen = run(options.mutations, options.first, options.modules)
    seconds = time.monotonic() - started
    print(f"fuzz: {options.mutations} mutations in {seconds:.0f} s: {dict(seen)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
