"""Samples with their shadow ELF, and GDB on them with made-up frames."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from symbols.shadow import frames
from symbols.shadow.addresses import CODE_BYTE, HOST_BASE, HOST_RETURN, code_address, frame_slot
from symbols.shadow.build import shadow_elf
from symbols.wasm import Module
from symbols.wasm.decode import instructions
from tests.symbols.dwarf.samples import run, tool
from tests.symbols.shadow.memoryserver import serving

SAMPLE = Path(__file__).with_name("sample.c")


@dataclass
class Made:
    """A module with its shadow ELF."""

    path: Path
    elf: Path
    number: int = 0

    @cached_property
    def module(self) -> Module:
        return Module(self.path.read_bytes())

    @cached_property
    def memory(self) -> bytes:
        """Guest memory as the module initialises it; a program's data counts from 0."""
        memory = bytearray(1 << 17)
        for segment in self.module.segments:
            constant = next(instructions(self.module.data, *segment.offset))
            start = constant.operands[0] if constant.opcode.name == "i32.const" else 0
            memory[start : start + segment.end - segment.start] = self.module.data[
                segment.start : segment.end
            ]
        return bytes(memory)

    def function(self, name: str) -> int:
        """Code offset of its first byte."""
        index = next(i for i, n in self.module.names.functions.items() if n == name)
        start = self.module.bodies[index - self.module.function_imports][1]
        return start - self.module.code_base

    def rows(self, name: str) -> list[tuple[int, int]]:
        """(code offset, line) of the line table inside a function."""
        index = next(i for i, n in self.module.names.functions.items() if n == name)
        _, start, end = self.module.bodies[index - self.module.function_imports]
        found = []
        for line in run(tool("llvm-dwarfdump"), "--debug-line", self.path).splitlines():
            words = line.split()
            if line.startswith("0x0000") and "end_sequence" not in words:
                offset = int(words[0], 16)
                if start <= offset + self.module.code_base < end:
                    found.append((offset, int(words[1])))
        return found


@dataclass
class Call:
    """A frame: where it goes on, and what it holds."""

    offset: int
    local_values: Sequence[int | None] = ()
    operands: Sequence[int | None] = ()
    stack_pointer: int | None = 0x8000
    memory_base: int | None = None


def stack(made: Made, calls: Sequence[Call]) -> tuple[Mapping[int, frames.Record], dict[str, int]]:
    """Records by their address, and registers, of a stack whose innermost call comes first."""
    records = {}
    caller_pc, caller_ebp = HOST_RETURN, 0
    registers: dict[str, int] = {}
    for depth, call in enumerate(reversed(calls)):
        found = frames.frame_registers(frames.frame_cfa(0, depth))
        records[frames.record_start(0, depth)] = frames.pack_record(
            caller_pc=caller_pc, caller_ebp=caller_ebp, stack_pointer=call.stack_pointer,
            function=7, local_values=call.local_values, operands=call.operands,
            memory_base=None if call.memory_base is None else (made.number, call.memory_base),
        )  # fmt: skip
        caller_pc, caller_ebp = code_address(made.number, call.offset), found.ebp
        registers = {n: getattr(found, n) for n in ("ebp", "esp", "esi", "edi", "ebx")}
    return records, registers | {"eip": caller_pc}


def gdb(files: Sequence[Path], commands: Sequence[str], deadline: float = 120) -> str:
    """What GDB prints; its startup files are not read."""
    words = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set width 0"]
    for path in files:
        words += ["-ex", f"add-symbol-file {path}" if path != files[0] else f"file {path}"]
    for command in ("set architecture i386", "set osabi none", *commands):
        words += ["-ex", command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=deadline, check=False)
    return done.stdout + done.stderr


def gdb_on_stack(
    made: Made, calls: Sequence[Call], commands: Sequence[str], memory: bytes | None = None
) -> str:
    """What GDB prints about a guest that stands still with this stack."""
    contents = made.memory if memory is None else memory
    records, registers = stack(made, calls)

    def read(address: int, length: int) -> bytes:
        if frame_slot(address) is not None:
            for start, record in records.items():
                if start <= address < start + frames.RECORD_SIZE:
                    return record.read(address - start, length)
            return b""
        return CODE_BYTE * length if address >= HOST_BASE else contents[address : address + length]

    with serving(read, {1: registers}) as port:
        return gdb([made.elf], [f"target remote 127.0.0.1:{port}", *commands])


def dwarf_errors(path: Path) -> str:
    """What llvm-dwarfdump finds wrong; "" if nothing."""
    done = subprocess.run(
        [tool("llvm-dwarfdump"), "--verify", path], capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    lines = (done.stdout + done.stderr).splitlines()
    usual = ("Verifying", "No errors.", "warning: .debug_line")  # clang lists some files twice
    ours = [line for line in lines if line and not line.startswith(usual)]
    return "\n".join(ours) or ("" if done.returncode == 0 else f"status {done.returncode}")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Made]:
    """make(level, version, *flags, number=0) -> Made: the sample, compiled and linked."""
    place = tmp_path_factory.mktemp("shadow")
    made: dict[tuple[object, ...], Made] = {}

    def build(level: str, version: int, *flags: str, number: int = 0) -> Made:
        key = (level, version, *flags, number)
        if key not in made:
            name = f"sample-{len(made)}"
            wasm, elf = place / f"{name}.wasm", place / name
            pic = "-fPIC" in flags
            object_file = place / f"{name}.o"
            run(tool("clang"), "--target=wasm32", f"-O{level}", f"-gdwarf-{version}", *flags,
                "-ffunction-sections", "-c", SAMPLE, "-o", object_file)  # fmt: skip
            run(tool("wasm-ld"), *(("--experimental-pic", "-shared") if pic else ("--no-entry",)),
                "--gc-sections", object_file, "-o", wasm)  # fmt: skip
            elf.write_bytes(shadow_elf(Module(wasm.read_bytes()), number))
            made[key] = Made(wasm, elf, number)
        return made[key]

    return build
